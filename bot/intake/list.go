package intake

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/belaybot/belay/rules/plan"
)

// The largest list of dispatches that ReadList takes.
const (
	MaxList      = 16 << 20 // bytes
	MaxListItems = 10_000
)

// Item is one dispatch of a list.
type Item struct {
	Line     int // where it stands, from 1
	Dispatch plan.Dispatch
}

// maxProblems is how many problems of a list are told at once.
const maxProblems = 10

// ReadList reads a list of dispatches: CSV with image and tag, with or without a
// line of headings, or JSON values one after the other, each in any of the forms
// that Parse takes. Lines that are empty or begin with # are left out, and so is what stands twice.
// The error joins one for every line that is wrong, and nothing is returned then.
func ReadList(r io.Reader) ([]Item, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxList+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxList {
		return nil, fmt.Errorf("the list is larger than %d MB", MaxList>>20)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	l := &list{seen: map[string]bool{}}
	switch begin := bytes.TrimSpace(data); {
	case len(begin) == 0:
		return nil, errors.New("the list is empty: a line for each image, such as \"vaultwarden/server,1.35.8\"")
	case begin[0] == '[':
		return nil, errors.New("a JSON array: write one JSON object per line, without brackets around them")
	case begin[0] == '{':
		l.json(data)
	default:
		l.csv(data)
	}
	if len(l.items) > MaxListItems {
		return nil, fmt.Errorf("more than %d dispatches: send them in parts", MaxListItems)
	}
	if len(l.items) == 0 && len(l.problems) == 0 {
		return nil, errors.New("the list holds no dispatch")
	}
	if len(l.problems) > 0 {
		return nil, errors.Join(l.problems...)
	}
	return l.items, nil
}

type list struct {
	items    []Item
	seen     map[string]bool
	problems []error
}

func (l *list) add(line int, d plan.Dispatch, err error) {
	if err != nil {
		if len(l.problems) < maxProblems {
			l.problems = append(l.problems, fmt.Errorf("line %d: %w", line, err))
		}
		return
	}
	key := strings.Join([]string{d.Image.Name(), d.Chart.Repository, d.Chart.Name, d.Tag, d.Digest}, " ")
	if !l.seen[key] {
		l.seen[key] = true
		l.items = append(l.items, Item{Line: line, Dispatch: d})
	}
}

func (l *list) json(data []byte) {
	dec := json.NewDecoder(bytes.NewReader(data))
	for len(l.items) <= MaxListItems {
		rest := data[min(int(dec.InputOffset()), len(data)):]
		blank := len(rest) - len(bytes.TrimLeft(rest, " \t\r\n"))
		line := bytes.Count(data[:len(data)-len(rest)+blank], []byte("\n")) + 1
		var raw json.RawMessage
		err := dec.Decode(&raw)
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.Is(err, io.ErrUnexpectedEOF):
			err = errors.New("not JSON: it ends in the middle of a value")
		case err != nil:
			err = fmt.Errorf("not JSON: %w", err)
		}
		if err != nil {
			l.add(line, plan.Dispatch{}, err)
			return // what follows cannot be told apart
		}
		d, err := Parse(raw)
		l.add(line, d, err)
	}
}

func (l *list) csv(data []byte) {
	rd := csv.NewReader(bytes.NewReader(data))
	rd.FieldsPerRecord, rd.TrimLeadingSpace, rd.Comment, rd.ReuseRecord = -1, true, '#', true
	columns := map[string]int{"image": 0, "tag": 1, "digest": -1}
	for first := true; len(l.items) <= MaxListItems; first = false {
		row, err := rd.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		var broken *csv.ParseError
		if errors.As(err, &broken) {
			l.add(broken.Line, plan.Dispatch{}, fmt.Errorf("not CSV: %w", broken.Err))
			return
		}
		if err != nil {
			l.add(1, plan.Dispatch{}, err)
			return
		}
		line, _ := rd.FieldPos(0)
		if first {
			if named := headings(row); named != nil {
				columns = named
				continue
			}
		}
		field := func(name string) string {
			if i := columns[name]; i >= 0 && i < len(row) {
				return strings.TrimSpace(row[i])
			}
			return ""
		}
		if field("image") == "" && field("tag") == "" {
			continue // a line of commas, as spreadsheets leave behind
		}
		d, err := New(field("image"), field("tag"))
		if digest := field("digest"); err == nil && digest != "" {
			if d.Digest = digest; !digestForm.MatchString(digest) {
				err = &FieldError{"digest", fmt.Sprintf("%q is not a digest: sha256: and 64 hexadecimal digits, or nothing", digest)}
			}
		}
		l.add(line, d, err)
	}
}

// headings says which column holds what, nil for a row that is no headings.
func headings(row []string) map[string]int {
	names := make([]string, len(row))
	for i, s := range row {
		names[i] = strings.ToLower(strings.TrimSpace(s))
	}
	out := map[string]int{"image": slices.Index(names, "image"), "tag": slices.Index(names, "tag"), "digest": slices.Index(names, "digest")}
	if out["image"] < 0 {
		return nil
	}
	return out
}

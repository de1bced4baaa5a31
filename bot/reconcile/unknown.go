package reconcile

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"sync"
)

// knownFields are the names of the record's fields in JSON.
var knownFields = sync.OnceValue(func() map[string]bool {
	out := map[string]bool{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[record]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out[name] = true
	}
	return out
})

// withUnknown adds to a record what an older one holds that this version of
// belay does not know. While replicas are replaced one by one, a newer one writes
// records too, and what it noted is not for this one to lose.
func withUnknown(now, older []byte) ([]byte, error) {
	var old map[string]json.RawMessage
	if err := json.Unmarshal(older, &old); err != nil {
		return nil, err
	}
	maps.DeleteFunc(old, func(name string, _ json.RawMessage) bool { return knownFields()[name] })
	if len(old) == 0 {
		return now, nil
	}
	if err := json.Unmarshal(now, &old); err != nil {
		return nil, err
	}
	return json.Marshal(old)
}

package probe

import (
	"math"
	"testing"
	"time"

	"github.com/belaybot/belay/rules/watch"
)

func FuzzMetrics(f *testing.F) {
	f.Add([]byte("# TYPE monitor_status gauge\nmonitor_status{monitor_name=\"web\",monitor_port=\"null\"} 1\n"), "web")
	f.Add([]byte("monitor_status{monitor_name=\"a \\\"b\\\" \\\\\"} NaN\n"), `a "b" \`)
	f.Fuzz(func(t *testing.T, body []byte, name string) {
		all, err := parseMetrics(body)
		if err != nil {
			return
		}
		if state, text := find(all, name, time.Time{}); state == "" || text == "" {
			t.Error("no state")
		}
	})
}

func FuzzStatusPage(f *testing.F) {
	f.Add([]byte(`{"publicGroupList":[{"monitorList":[{"id":1,"name":"web"}]}]}`), []byte(`{"heartbeatList":{"1":[{"status":0,"time":"2026-11-25 09:42:37.699"}]}}`), "web")
	f.Fuzz(func(t *testing.T, names, beats []byte, name string) {
		all, err := parsePage(names, beats)
		if err != nil {
			return
		}
		for _, m := range all {
			if m.status < kumaDown || m.status > kumaMaintenance || m.beat.IsZero() && m.beat.Year() != 1 {
				t.Errorf("%+v", m)
			}
		}
		find(all, name, time.Time{})
	})
}

func FuzzQuery(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"2"]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"scalar","result":[1,"NaN"]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		values, err := parseQuery(body)
		if err != nil {
			return
		}
		bound := 1.0
		state, _ := keeps(watch.Query{Below: &bound}, values)
		for _, v := range values {
			if v.value >= bound && !math.IsNaN(v.value) && state != watch.Bad {
				t.Errorf("%v is %s", v, state)
			}
		}
	})
}

func FuzzPipelines(f *testing.F) {
	f.Add([]byte(`[{"number":1,"event":"push","branch":"main","commit":"a","status":"killed","workflows":[{"name":"default","state":"killed"}]}]`), "default")
	f.Add([]byte(`[{"created_at":1,"workflows":null}]`), "")
	f.Fuzz(func(t *testing.T, body []byte, name string) {
		list, err := parsePipelines(body)
		if err != nil {
			return
		}
		m := Merged{Names: []string{name}}
		for i := range list {
			if a := sum(m, &list[i], list); a.State == "" || a.Detail == "" {
				t.Errorf("%+v", a)
			}
		}
	})
}

func FuzzShown(f *testing.F) {
	f.Add("https://ana:hunter2@web.example.org/a?token=s3cret#x")
	f.Fuzz(func(t *testing.T, address string) {
		if shown(address) == "" {
			t.Error("nothing shown")
		}
	})
}

package probe_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/probe"
	"github.com/belaybot/belay/rules/watch"
)

func TestPrometheus(t *testing.T) {
	five, tenth := 5.0, 0.1
	vector := func(values ...string) string {
		var list []string
		for i, v := range values {
			list = append(list, fmt.Sprintf(`{"metric":{"pod":"web-%d"},"value":[1764063757.781,"%s"]}`, i, v))
		}
		return fmt.Sprintf(`{"status":"success","data":{"resultType":"vector","result":[%s]}}`, strings.Join(list, ","))
	}
	for _, tc := range []struct {
		name   string
		code   int
		body   string
		query  watch.Query
		want   watch.State
		detail string
	}{
		{"below", 200, vector("0.02"), watch.Query{Below: &tenth}, watch.Good, "0.02"},
		{"not below", 200, vector("0.02", "0.31"), watch.Query{Below: &tenth}, watch.Bad, `0.31 is not below 0.1 {pod="web-1"}`},
		{"at the bound is not below", 200, vector("0.1"), watch.Query{Below: &tenth}, watch.Bad, ""},
		{"above", 200, vector("6", "7"), watch.Query{Above: &five}, watch.Good, "2 values"},
		{"not above", 200, vector("5"), watch.Query{Above: &five}, watch.Bad, "5 is not above 5"},
		{"between", 200, vector("3"), watch.Query{Above: &tenth, Below: &five}, watch.Good, ""},
		{"infinite", 200, vector("+Inf"), watch.Query{Below: &five}, watch.Bad, "+Inf is not below 5"},
		{"no traffic, so no ratio", 200, vector("NaN"), watch.Query{Below: &five}, watch.Absent, "no value"},
		{"no series", 200, vector(), watch.Query{Below: &five}, watch.Absent, "no value"},
		{"a number", 200, `{"status":"success","data":{"resultType":"scalar","result":[1764063757.781,"3"]}}`, watch.Query{Below: &five}, watch.Good, "3"},
		{"a range", 200, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, watch.Query{Below: &five}, watch.Blind, "gives a matrix"},
		{"a histogram", 200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1764063757,{"count":"1"}]}]}}`, watch.Query{Below: &five}, watch.Absent, "no value"},
		{"a query that is none", 400, `{"status":"error","errorType":"bad_data","error":"1:5: parse error: unexpected <EOF>"}`, watch.Query{Below: &five}, watch.Blind, "parse error"},
		{"a query that takes too long", 503, `{"status":"error","errorType":"timeout","error":"query timed out"}`, watch.Query{Below: &five}, watch.Blind, "answers 503"},
		{"something else answers", 200, `<html>`, watch.Query{Below: &five}, watch.Blind, "BELAY_PROMETHEUS_URL"},
		{"no number", 200, vector("many"), watch.Query{Below: &five}, watch.Blind, "no number"},
		{"the token is refused", 401, "", watch.Query{Below: &five}, watch.Blind, "refuses the credentials"},
		{"a redirect to a login", 302, "", watch.Query{Below: &five}, watch.Blind, "final address"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			address := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/prom/api/v1/query" || r.FormValue("query") != `sum(rate(x{job="web"}[1m]))` || r.Header.Get("Authorization") != "Bearer secret" {
					t.Errorf("%s %s", r.URL, r.Form)
				}
				if tc.code == 302 {
					w.Header().Set("Location", "https://login.example.org/")
				}
				w.WriteHeader(tc.code)
				fmt.Fprint(w, tc.body)
			})
			p, err := probe.NewPrometheus(probe.PrometheusOptions{URL: address + "/prom/", Token: func() string { return "secret" }})
			if err != nil {
				t.Fatal(err)
			}
			tc.query.Expr = `sum(rate(x{job="web"}[1m]))`
			got := p.Look(t.Context(), watch.Subject{Queries: []watch.Query{tc.query}})
			if len(got) != 1 || got[0].State != tc.want || !strings.Contains(got[0].Detail, tc.detail) || got[0].Name != tc.query.Expr || got[0].At.IsZero() {
				t.Errorf("%+v, want %s: %s", got, tc.want, tc.detail)
			}
		})
	}
}

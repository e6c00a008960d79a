package secretsmanager

import (
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/fault"
)

func TestSchedules(t *testing.T) {
	const form = "2006-01-02 15:04:05 Mon"
	after := time.Date(2026, 1, 1, 9, 30, 0, 0, time.UTC) // a Thursday
	for _, c := range []struct{ expression, window, opens, closes string }{
		{"rate(10 days)", "", "2026-01-11 00:00:00 Sun", "2026-01-11 23:59:59 Sun"},
		{"rate(1 day)", "3h", "2026-01-02 00:00:00 Fri", "2026-01-02 02:59:59 Fri"},
		{"rate(4 hours)", "", "2026-01-01 13:00:00 Thu", "2026-01-01 13:59:59 Thu"},
		{"rate(12 hours)", "2h", "2026-01-01 21:00:00 Thu", "2026-01-01 22:59:59 Thu"},
		{"cron(0 8 * * ? *)", "", "2026-01-02 08:00:00 Fri", "2026-01-02 23:59:59 Fri"},
		{"cron(0 10 * * ? *)", "", "2026-01-01 10:00:00 Thu", "2026-01-01 23:59:59 Thu"},
		{"cron(0 8/8 * * ? *)", "", "2026-01-01 16:00:00 Thu", "2026-01-01 16:59:59 Thu"},
		{"cron(0 2/10 * * ? *)", "2h", "2026-01-01 12:00:00 Thu", "2026-01-01 13:59:59 Thu"},
		{"cron(0 8 1/7 * ? *)", "", "2026-01-08 08:00:00 Thu", "2026-01-08 23:59:59 Thu"},
		{"cron(0 0 ? * SUN#1 *)", "", "2026-01-04 00:00:00 Sun", "2026-01-04 23:59:59 Sun"},
		{"cron(0 0 ? * 5#5 *)", "", "2026-01-29 00:00:00 Thu", "2026-01-29 23:59:59 Thu"},
		{"cron(0 16 L * ? *)", "", "2026-01-31 16:00:00 Sat", "2026-01-31 23:59:59 Sat"},
		{"cron(0 16 15,L feb ? *)", "", "2026-02-15 16:00:00 Sun", "2026-02-15 23:59:59 Sun"},
		{"cron(0 16 29 2 ? *)", "", "2028-02-29 16:00:00 Tue", "2028-02-29 23:59:59 Tue"},
		{"cron(0 0 ? * L *)", "", "2026-01-03 00:00:00 Sat", "2026-01-03 23:59:59 Sat"},
		{"cron(0 0 ? * FRIL *)", "", "2026-01-30 00:00:00 Fri", "2026-01-30 23:59:59 Fri"},
		{"cron(0 18 ? JAN,APR MON-WED *)", "6h", "2026-01-05 18:00:00 Mon", "2026-01-05 23:59:59 Mon"},
		{"cron(0 0 1 */3 ? *)", "24h", "2026-04-01 00:00:00 Wed", "2026-04-01 23:59:59 Wed"},
	} {
		s, err := parseSchedule(&api.RotationRulesType{ScheduleExpression: c.expression, Duration: c.window})
		if err != nil {
			t.Errorf("%s: %v", c.expression, err)
			continue
		}
		if opens, closes := s.next(after); opens.Format(form) != c.opens || closes.Format(form) != c.closes {
			t.Errorf("%s %s: from %s to %s, want from %s to %s", c.expression, c.window, opens.Format(form), closes.Format(form), c.opens, c.closes)
		}
	}
	for _, c := range []struct {
		rules api.RotationRulesType
		want  string
	}{
		{api.RotationRulesType{ScheduleExpression: "rate(3 hours)"}, "every 4 hours"},
		{api.RotationRulesType{ScheduleExpression: "rate(1000 days)"}, "999 days"},
		{api.RotationRulesType{ScheduleExpression: "daily"}, "rate(N hours)"},
		{api.RotationRulesType{ScheduleExpression: "cron(0 8 * * ?)"}, "six fields"},
		{api.RotationRulesType{ScheduleExpression: "cron(5 8 * * ? *)"}, "minutes"},
		{api.RotationRulesType{ScheduleExpression: "cron(0 8 * * ? 2027)"}, "year"},
		{api.RotationRulesType{ScheduleExpression: "cron(0 8 * * * *)"}, "must be ?"},
		{api.RotationRulesType{ScheduleExpression: "cron(0 24 * * ? *)"}, "24 is not valid"},
		{api.RotationRulesType{ScheduleExpression: "cron(0 * * * ? *)"}, "every 4 hours"},
		{api.RotationRulesType{ScheduleExpression: "cron(0 8 31 2 ? *)"}, "no such day"},
		{api.RotationRulesType{ScheduleExpression: "cron(0 8 9-3 * ? *)"}, "9-3 is not valid"},
		{api.RotationRulesType{ScheduleExpression: "cron(0 8 1/0 * ? *)"}, "1/0 is not valid"},
		{api.RotationRulesType{ScheduleExpression: "cron(0 8 ? * SUN#6 *)"}, "not a day of the week"},
		{api.RotationRulesType{ScheduleExpression: "cron(0 8 ? FOO SUN *)"}, "FOO is not valid"},
		{api.RotationRulesType{ScheduleExpression: "cron(0 20 * * ? *)", Duration: "5h"}, "next UTC day"},
		{api.RotationRulesType{ScheduleExpression: "cron(0 8,12 * * ? *)", Duration: "5h"}, "next rotation window"},
		{api.RotationRulesType{ScheduleExpression: "rate(4 hours)", Duration: "5h"}, "next rotation window"},
		{api.RotationRulesType{ScheduleExpression: "rate(4 days)", Duration: "25h"}, "next UTC day"},
		{api.RotationRulesType{ScheduleExpression: "rate(4 days)", Duration: "0h"}, "number of hours"},
		{api.RotationRulesType{Duration: "2h"}, "needs a ScheduleExpression"},
		{api.RotationRulesType{ScheduleExpression: "rate(4 days)", AutomaticallyAfterDays: new(int64(1))}, "both"},
	} {
		if _, err := parseSchedule(&c.rules); !fault.Is(err, fault.InvalidParameterException) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.rules, err, c.want)
		}
	}
}

// TestRotationBySchedule rotates when a window opens, not before, and late where
// nobody was there; and a value that somebody put counts for days.
func TestRotationBySchedule(t *testing.T) {
	w := newRotating(t)
	w.create()
	w.at = time.Date(2026, 1, 1, 9, 30, 0, 0, time.UTC)
	no := false
	if err := w.rotateBy(2, func(in *api.RotateSecretInput) {
		in.RotateImmediately, in.RotationRules = &no, &api.RotationRulesType{ScheduleExpression: "cron(0 16 * * ? *)", Duration: "2h"}
	}); err != nil {
		t.Fatal(err)
	}
	sec := w.settle()
	if want := time.Date(2026, 1, 1, 17, 59, 59, 0, time.UTC); !sec.Rotation.Next.Equal(want) || len(sec.Versions) != 1 {
		t.Fatalf("the next rotation is by %v, want %v; %+v", sec.Rotation.Next, want, sec.Versions)
	}
	tick := func(at time.Time, versions int) {
		t.Helper()
		w.pass(at.Sub(w.at))
		if err := w.keepUp(w.ctx); err != nil {
			t.Fatal(err)
		}
		if sec = w.settle(); len(sec.Versions) != versions {
			t.Errorf("at %v there are %d versions, want %d", at, len(sec.Versions), versions)
		}
	}
	tick(time.Date(2026, 1, 1, 15, 59, 0, 0, time.UTC), 1)
	tick(time.Date(2026, 1, 1, 16, 0, 30, 0, time.UTC), 2)
	tick(time.Date(2026, 1, 1, 17, 0, 0, 0, time.UTC), 2)
	tick(time.Date(2026, 1, 2, 20, 0, 0, 0, time.UTC), 3) // late
	if want := time.Date(2026, 1, 3, 17, 59, 59, 0, time.UTC); !sec.Rotation.Next.Equal(want) {
		t.Errorf("the next rotation is by %v, want %v", sec.Rotation.Next, want)
	}

	if err := w.rotateBy(3, func(in *api.RotateSecretInput) { in.RotateImmediately, in.RotationRules = &no, days(7) }); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.pass(3 * day)
	if _, err := w.PutSecretValue(w.ctx, &api.PutSecretValueInput{SecretId: "db", SecretString: "by hand", ClientRequestToken: id(4)}); err != nil {
		t.Fatal(err)
	}
	if sec, want := w.settle(), time.Date(2026, 1, 12, 23, 59, 59, 0, time.UTC); !sec.Rotation.Next.Equal(want) {
		t.Errorf("the next rotation is by %v, want %v", sec.Rotation.Next, want)
	}
}

package secretsmanager

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/secretsmanager"
)

// schedule is when a secret is rotated by itself ("Rotation schedules", AWS Secrets
// Manager User Guide). The zero value is never.
type schedule struct {
	every  time.Duration // from one to the next; 0: by cron
	cron   *cron
	window time.Duration // 0: an hour, or the rest of the day
}

const (
	day       = 24 * time.Hour
	mostOften = 4 * time.Hour
	maxDays   = 999
)

var (
	rateForm   = regexp.MustCompile(`^rate\((\d{1,4}) (hour|hours|day|days)\)$`)
	cronForm   = regexp.MustCompile(`^cron\((.*)\)$`)
	windowForm = regexp.MustCompile(`^(\d{1,2})h$`)
)

// parseSchedule reads rules; those without a schedule are the zero value.
func parseSchedule(r *api.RotationRulesType) (out schedule, err error) {
	switch {
	case r.AutomaticallyAfterDays != nil && r.ScheduleExpression != "":
		return out, invalid("You can't specify both AutomaticallyAfterDays and ScheduleExpression in RotationRules.")
	case r.AutomaticallyAfterDays != nil:
		out.every = time.Duration(*r.AutomaticallyAfterDays) * day
	case r.ScheduleExpression != "":
		if out, err = parseExpression(r.ScheduleExpression); err != nil {
			return out, err
		}
	}
	if r.Duration == "" {
		return out, nil
	}
	m := windowForm.FindStringSubmatch(r.Duration)
	if m == nil || m[1] == "0" || m[1] == "00" {
		return out, invalid("The Duration %s is not valid: it must be a number of hours, like 3h.", r.Duration)
	}
	n, _ := strconv.Atoi(m[1]) // digits
	out.window = time.Duration(n) * time.Hour
	return out, out.checkWindow()
}

func parseExpression(text string) (out schedule, err error) {
	if m := cronForm.FindStringSubmatch(text); m != nil {
		out.cron, err = parseCron(m[1])
		if err != nil {
			err = invalid("The ScheduleExpression %s is not valid: %s.", text, err)
		}
		return out, err
	}
	m := rateForm.FindStringSubmatch(text)
	if m == nil {
		return out, invalid("The ScheduleExpression %s is not valid: it must be rate(N hours), rate(N days) or cron(...).", text)
	}
	n, _ := strconv.Atoi(m[1]) // digits
	out.every = time.Duration(n) * day
	if strings.HasPrefix(m[2], "hour") {
		out.every = time.Duration(n) * time.Hour
	}
	if out.every < mostOften || out.every > maxDays*day {
		return out, invalid("The ScheduleExpression %s is not valid: a secret is rotated every 4 hours at the most, and every %d days at the least.", text, maxDays)
	}
	return out, nil
}

// checkWindow refuses a window that reaches into the next one, or the next day.
func (s schedule) checkWindow() error {
	opens, apart := []int{0}, day
	switch {
	case s.cron != nil:
		opens = s.cron.hours
	case s.every == 0:
		return invalid("A Duration needs a ScheduleExpression or AutomaticallyAfterDays.")
	case s.every%day != 0:
		apart = s.every
	}
	for i, h := range opens {
		until := day
		if i+1 < len(opens) {
			until = time.Duration(opens[i+1]) * time.Hour
		}
		if time.Duration(h)*time.Hour+s.window > until || s.window > apart {
			return invalid("The Duration is not valid: the rotation window must not extend into the next rotation window or the next UTC day.")
		}
	}
	return nil
}

func (s schedule) never() bool { return s.every == 0 && s.cron == nil }

// next is the window after a rotation: when it opens, and its last second.
func (s schedule) next(after time.Time) (opens, closes time.Time) {
	after = after.UTC()
	hours := s.every%day != 0
	switch {
	case s.never():
		return opens, closes
	case s.cron != nil:
		opens, hours = s.cron.next(after), len(s.cron.hours) > 1
	case hours:
		opens = after.Add(s.every).Truncate(time.Hour)
	default:
		opens = after.Add(s.every).Truncate(day)
	}
	switch {
	case s.window > 0:
		closes = opens.Add(s.window)
	case hours:
		closes = opens.Add(time.Hour)
	default:
		closes = opens.Truncate(day).Add(day)
	}
	return opens, closes.Add(-time.Second)
}

// cron is a cron expression of Secrets Manager's: on the hour, in any year.
type cron struct {
	hours  []int
	months []int
	days   []int // of the month; nil: any, or by the week
	last   bool  // the month's last day, too
	week   []weekday
}

// weekday is a day of the week, or one of those in a month.
type weekday struct {
	day  time.Weekday
	nth  int // 0: every
	last bool
}

type cronError string

func (e cronError) Error() string { return string(e) }

var (
	monthNames = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	weekNames  = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
)

func parseCron(text string) (*cron, error) {
	f := strings.Fields(text)
	switch {
	case len(f) != 6:
		return nil, cronError("cron has six fields: minutes, hours, day of the month, month, day of the week and year")
	case f[0] != "0":
		return nil, cronError("the minutes must be 0")
	case f[5] != "*":
		return nil, cronError("the year must be *")
	case (f[2] == "?") == (f[4] == "?"):
		return nil, cronError("one of the day of the month and the day of the week must be ?")
	}
	c := &cron{}
	var err error
	if c.hours, err = parseField(f[1], 0, 23, nil); err != nil {
		return nil, err
	}
	for i := 1; i < len(c.hours); i++ {
		if time.Duration(c.hours[i]-c.hours[i-1])*time.Hour < mostOften {
			return nil, cronError("a secret is rotated every 4 hours at the most")
		}
	}
	if c.months, err = parseField(f[3], 1, 12, monthNames); err != nil {
		return nil, err
	}
	if f[2] != "?" {
		err = c.parseDays(f[2])
	} else {
		err = c.parseWeek(f[4])
	}
	if err == nil && c.next(time.Date(2000, 3, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		err = cronError("there is no such day")
	}
	return c, err
}

func (c *cron) parseDays(text string) (err error) {
	var plain []string
	for part := range strings.SplitSeq(text, ",") {
		if part == "L" {
			c.last = true
		} else {
			plain = append(plain, part)
		}
	}
	if len(plain) > 0 {
		c.days, err = parseField(strings.Join(plain, ","), 1, 31, nil)
	}
	return err
}

func (c *cron) parseWeek(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		w := weekday{}
		name, nth, numbered := strings.Cut(part, "#")
		switch {
		case part == "L":
			name = "SAT"
		case numbered:
			n, err := strconv.Atoi(nth)
			if err != nil || n < 1 || n > 5 {
				return cronError(part + " is not a day of the week")
			}
			w.nth = n
		case len(part) > 1 && strings.HasSuffix(part, "L"):
			name, w.last = strings.TrimSuffix(part, "L"), true
		}
		days, err := parseField(name, 1, 7, weekNames)
		if err != nil {
			return err
		}
		for _, d := range days {
			w.day = time.Weekday(d - 1)
			c.week = append(c.week, w)
		}
	}
	return nil
}

// parseField reads numbers, names, ranges, lists, * and steps (8/8, */2, 1-9/3).
func parseField(text string, low, high int, names []string) ([]int, error) {
	bad := cronError(text + " is not valid in its field")
	number := func(t string) (int, bool) {
		if i := slices.Index(names, strings.ToUpper(t)); i >= 0 {
			return low + i, true
		}
		n, err := strconv.Atoi(t)
		return n, err == nil && n >= low && n <= high
	}
	var out []int
	for part := range strings.SplitSeq(text, ",") {
		span, by, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			n, err := strconv.Atoi(by)
			if err != nil || n < 1 || n > high {
				return nil, bad
			}
			step = n
		}
		from, to := low, high
		if first, last, ranged := strings.Cut(span, "-"); span != "*" {
			var ok, ok2 bool
			from, ok = number(first)
			to, ok2 = from, true
			if ranged {
				to, ok2 = number(last)
			} else if stepped {
				to = high
			}
			if !ok || !ok2 || from > to {
				return nil, bad
			}
		}
		for n := from; n <= to; n += step {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// maxCron bounds the search: a 29th of February may be eight years away.
const maxCron = 8*366 + 1

// next is the first moment after another that the expression names.
func (c *cron) next(after time.Time) time.Time {
	date := after.Truncate(day)
	for range maxCron {
		if c.on(date) {
			for _, h := range c.hours {
				if at := date.Add(time.Duration(h) * time.Hour); at.After(after) {
					return at
				}
			}
		}
		date = date.Add(day)
	}
	return time.Time{}
}

func (c *cron) on(date time.Time) bool {
	if !slices.Contains(c.months, int(date.Month())) {
		return false
	}
	lastDay := date.Add(day).Day() == 1
	if c.week == nil {
		return slices.Contains(c.days, date.Day()) || c.last && lastDay
	}
	return slices.ContainsFunc(c.week, func(w weekday) bool {
		switch {
		case w.day != date.Weekday():
			return false
		case w.nth > 0:
			return (date.Day()-1)/7+1 == w.nth
		case w.last:
			return date.Add(7*day).Month() != date.Month()
		}
		return true
	})
}

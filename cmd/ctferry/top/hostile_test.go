package top

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
)

// poison puts a text everywhere where there can be one.
func poison(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem(), text)
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i), text)
		}
	case reflect.Struct:
		if v.Type() != reflect.TypeFor[time.Time]() {
			for i := range v.NumField() {
				poison(v.Field(i), text)
			}
		}
	}
}

// harmless checks that a frame without colours is text and nothing else.
func harmless(t *testing.T, frame string) {
	t.Helper()
	for _, r := range frame {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Fatalf("%U in %q", r, frame)
		}
	}
}

const attack = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\u202eevil\u0000\r\n\x9b5n\xff\u0301\u0301\t\u2028end"

func TestHostileTexts(t *testing.T) {
	t.Parallel()
	r := recorded(t)
	poison(reflect.ValueOf(&r.Snapshot).Elem(), attack)
	r = newReading(&r.Snapshot, false)
	for _, size := range [][2]int{{80, 24}, {120, 40}, {20, 8}} {
		s := shown(r, size[0], size[1])
		m := &model{screen: *s}
		m.take(answer{err: errorOf(attack), at: s.now})
		within(t, &m.screen)
		harmless(t, m.screen.String())
		if text := m.screen.String(); size[0] == 120 && !strings.Contains(text, "[31mred") {
			t.Errorf("what was said cannot be recognised:\n%s", text)
		}
	}
}

type errorOf string

func (e errorOf) Error() string { return string(e) }

// FuzzFrame: whatever a service tells, the frame is text, and keeps to its screen.
func FuzzFrame(f *testing.F) {
	f.Add(attack, 80, 24, uint64(1<<63), 1e300, true)
	f.Add("日本語", 33, 9, uint64(0), -1.0, false)
	f.Add(strings.Repeat("long ", 300), 120, 40, uint64(12345), 0.01, true)
	f.Fuzz(func(t *testing.T, text string, width, height int, n uint64, v float64, remote bool) {
		if width < 1 || width > 400 || height < 1 || height > 200 {
			return
		}
		r := recorded(t)
		poison(reflect.ValueOf(&r.Snapshot).Elem(), text)
		r = newReading(&r.Snapshot, remote)
		r.Books.Sockets[0].Lost, r.Books.Sinks[0].Held, r.Buffers[0].Queued, r.Uptime = n, n, n, v
		r.Rates.Offered, r.Rates.Sinks[0].Bytes, r.Buffers[0].Headroom, r.Standstill = v, v, &v, v
		s := shown(r, width, height)
		within(t, s)
		harmless(t, s.String())
	})
}

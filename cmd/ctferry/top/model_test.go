package top

import (
	"errors"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
)

// TestAServiceGoesAndComes tells of it, keeps the last figures, and goes on.
func TestAServiceGoesAndComes(t *testing.T) {
	t.Parallel()
	m := &model{screen: *shown(nil, 80, 24)}
	m.screen.now = time.Unix(1000, 0).UTC()
	sees := func(texts ...string) {
		t.Helper()
		view := m.View()
		for _, text := range texts {
			if !strings.Contains(view.Content, text) || !view.AltScreen {
				t.Errorf("no %q in\n%s", text, view.Content)
			}
		}
	}
	sees("asking 127.0.0.1:9479")
	at := func(s int64) time.Time { return time.Unix(s, 0).UTC() }
	if m.take(answer{err: errors.New("refused"), at: at(1001)}) == nil {
		t.Error("it is not asked again")
	}
	sees("no answer yet, trying again: refused")
	m.take(answer{reading: recorded(t), at: at(1002)})
	sees("edge-1  ready", "offered 513")
	m.take(answer{err: errors.New("reset"), at: at(1010)})
	sees("NO ANSWER", "no answer since 00:16:42 (8s), trying again: reset", "offered 513")
	m.take(answer{err: &UsageError{errors.New("forbidden")}, at: at(1011)}) // it was well once: it may be again
	sees("trying again: forbidden")
	m.take(answer{reading: recorded(t), at: at(1020)})
	sees("edge-1  ready")
	if m.fatal != nil || strings.Contains(m.View().Content, "again") {
		t.Errorf("%v\n%s", m.fatal, m.View().Content)
	}
}

// TestWhatIsWrongForGoodEndsIt does not try again what cannot become right.
func TestWhatIsWrongForGoodEndsIt(t *testing.T) {
	t.Parallel()
	m := &model{screen: *shown(nil, 80, 24)}
	why := &UsageError{errors.New("status 401")}
	if cmd := m.take(answer{err: why}); cmd == nil || m.fatal == nil {
		t.Error(m.fatal)
	} else if _, quit := cmd().(tea.QuitMsg); !quit {
		t.Error("it does not end")
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	m := &model{screen: *shown(recorded(t), 80, 24)}
	m.latest = m.screen.reading
	m.press("p")
	later := recorded(t)
	later.Node = "later"
	m.take(answer{reading: later, at: time.Unix(1, 0)})
	if text := m.View().Content; !strings.Contains(text, "edge-1  ready  PAUSED") || strings.Contains(text, "later") {
		t.Errorf("held:\n%s", text)
	}
	m.press("space")
	if text := m.View().Content; !strings.Contains(text, "later") || strings.Contains(text, "PAUSED") {
		t.Errorf("on again:\n%s", text)
	}
	m.press("?")
	if text := m.View().Content; !strings.Contains(text, "until the receive buffer is full") {
		t.Errorf("help:\n%s", text)
	}
	m.press("esc")
	if _, cmd := m.Update(tea.WindowSizeMsg{Width: 100, Height: 30}); cmd != nil || m.screen.width != 100 || m.screen.help {
		t.Errorf("%+v", m.screen)
	}
	for _, key := range []string{"q", "ctrl+c"} {
		if cmd := m.press(key); cmd == nil {
			t.Errorf("%s does nothing", key)
		}
	}
	for _, key := range []string{"up", "down", "pgup", "pgdown", "home", "j", "k", "x", ""} {
		if cmd := m.press(key); cmd != nil || m.screen.from != 0 { // every sink is on the screen
			t.Errorf("%q: from %d", key, m.screen.from)
		}
	}
	empty := &model{screen: *shown(nil, 80, 24)}
	empty.press("down")
}

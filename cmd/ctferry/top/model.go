package top

import (
	"context"
	"errors"
	"time"

	tea "charm.land/bubbletea/v2"
)

// answer is what one question brought.
type answer struct {
	reading *Reading
	err     error
	at      time.Time
}

// again says that it is time for the next question.
type again struct{}

// model is the state of the screen; bubbletea drives it in one goroutine and
// asks the source in another, one question at a time.
type model struct {
	ctx    context.Context // of every question
	source Source
	screen screen
	latest *Reading // also while the screen is held
	fatal  error    // why it ended
}

// Init asks for the first time.
func (m *model) Init() tea.Cmd { return m.ask }

// ask asks the source.
func (m *model) ask() tea.Msg {
	r, err := m.source.Read(m.ctx)
	return answer{r, err, time.Now()}
}

// Update takes a key, an answer or a new size.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.screen.width, m.screen.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m, m.press(msg.String())
	case again:
		return m, m.ask
	case answer:
		return m, m.take(msg)
	}
	return m, nil
}

// take enters an answer.
func (m *model) take(a answer) tea.Cmd {
	s := &m.screen
	s.now = a.at
	var usage *UsageError
	switch {
	case a.err == nil:
		m.latest, s.fault, s.since = a.reading, "", a.at
	case errors.As(a.err, &usage) && m.latest == nil: // nothing here will help
		m.fatal = a.err
		return tea.Quit
	default:
		s.fault = clean(a.err.Error())
	}
	if !s.paused {
		s.reading = m.latest
	}
	return tea.Tick(s.every, func(time.Time) tea.Msg { return again{} })
}

// press does what a key says.
func (m *model) press(key string) tea.Cmd {
	s := &m.screen
	switch key {
	case "q", "ctrl+c":
		return tea.Quit
	case "p", "space":
		s.paused = !s.paused
		if !s.paused {
			s.reading = m.latest
		}
	case "?", "h":
		s.help = !s.help
	case "esc":
		s.help = false
	case "up", "k":
		m.scroll(-1)
	case "down", "j":
		m.scroll(1)
	case "pgup":
		m.scroll(-5)
	case "pgdown":
		m.scroll(5)
	case "home":
		s.from = 0
	}
	return nil
}

// scroll moves the sinks, no further than there are any.
func (m *model) scroll(by int) {
	s := &m.screen
	if s.reading == nil {
		return
	}
	s.from = max(0, min(s.from+by, s.hidden()))
}

// View lays the screen out.
func (m *model) View() tea.View {
	v := tea.NewView("")
	if m.screen.width > 0 && m.screen.height > 0 { // before that nothing is known of the terminal
		v.SetContent(m.screen.String())
	}
	v.AltScreen = true
	v.WindowTitle = "ctferry top"
	return v
}

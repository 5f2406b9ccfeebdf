package frontend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// run is one command line under way.
type run struct {
	*Front
	cmd    *conntrack.Command // the step's first
	step   *step
	target Target
	hosts  Hosts
	quiet  bool         // of a file: no summary, and nothing found is no failure
	found  *flow.Filter // what -G must find
}

// do carries out the step, prints, and gives the exit code.
func (r *run) do(ctx context.Context) int {
	s := r.step
	stamp(s.request)
	if r.cmd.Output.Has(conntrack.OutputSave) && r.hosts.Several() {
		return r.refuse(wrong("cannot save several nodes at once: use `--node' with one name"))
	}
	switch r.cmd.Verb {
	case conntrack.VerbEvents:
		return r.events(ctx, s.request)
	case conntrack.VerbCount, conntrack.VerbStats:
		return r.figures(ctx, s.request)
	case conntrack.VerbFlush:
		return r.flush(ctx, s.request)
	case conntrack.VerbCreate, conntrack.VerbAdd:
		return r.create(ctx)
	}
	return r.rows(ctx, s.request)
}

// narrow has -G tell the entry only if it is what else the line says.
func (r *run) narrow() (err error) {
	if r.cmd.Verb == conntrack.VerbGet && r.cmd.Table == conntrack.TableConntrack {
		r.found, err = r.filter(r.cmd)
	}
	return err
}

// rows carries out what prints rows: -L, -G, -D and -U.
func (r *run) rows(ctx context.Context, q *control.Request) int {
	p := newPrinter(r.Front, r.cmd, r.hosts.Several())
	if err := r.narrow(); err != nil {
		return r.refuse(err)
	}
	var answers []control.Answer
	var err error
	if !nothing(q) {
		answers, err = r.hosts.Call(ctx, q, func(b *flow.Batch) error {
			if r.found != nil {
				b.Keep(r.found.Match)
			}
			return p.rows(b)
		})
	}
	if err := p.close(); err != nil {
		return r.unwritten(err)
	}
	count, code := p.count, r.judge(answers, err)
	if q.Verb.Writes() { // what was done counts, also where not all of it was told
		count = max(count, total(answers))
	}
	return r.summary(count, code)
}

// unwritten tells that the output could not be written. That nobody reads it any
// more is no error worth a word.
func (r *run) unwritten(err error) int {
	if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, io.ErrClosedPipe) {
		r.say("cannot write: %s", err)
	}
	return exitFailed
}

// judge tells what went wrong, host by host, and gives the exit code.
func (r *run) judge(answers []control.Answer, err error) int {
	code := exitOK
	if err != nil && !slices.ContainsFunc(answers, func(a control.Answer) bool { return errors.Is(a.Err, err) }) {
		answers = append(answers, control.Answer{Err: err})
	}
	for i := range answers {
		a := &answers[i]
		switch {
		case silent(a.Err):
			code = exitSilent
		case a.Err != nil || a.Result != nil && (a.Result.Failed > 0 || r.leftover(a.Result)):
			code = max(code, exitFailed)
		}
		if a.Result != nil {
			r.result(a)
		}
		if a.Err != nil {
			r.complain(a.Node, why(r.cmd, a.Err))
		}
	}
	return code
}

// result tells of a result what is no row.
func (r *run) result(a *control.Answer) {
	for i := range a.Result.Failures {
		failure := &a.Result.Failures[i]
		text, n := why(r.cmd, failure.Err), failure.Index
		switch {
		case n < 0 && failure.Event != nil: // one of many
			text += ": " + string(new(encode.Text).AppendRow(nil, failure.Event))
		case n >= 0 && n < len(r.step.made) && r.step.file != "":
			text = r.step.place(n) + ": " + why(&conntrack.Command{Verb: r.step.made[n].verb, Table: r.cmd.Table}, failure.Err)
		}
		r.complain(a.Node, text)
	}
	if more := a.Result.Failed - uint64(len(a.Result.Failures)); len(a.Result.Failures) > 0 && more > 0 {
		r.complain(a.Node, fmt.Sprintf("Operation failed: %d more", more))
	}
	switch {
	case r.leftover(a.Result):
		r.complain(a.Node, "more entries have come than may be touched: some are left")
	case a.Result.Truncated:
		r.complain(a.Node, "there are more entries than `--limit' lets be shown")
	}
	if n := a.Result.Spared; n > 0 && a.Result.Failed == 0 { // what was named is a failure
		r.complain(a.Node, fmt.Sprintf("%d entries were left alone: the node protects an address of each", n))
	}
	if a.Result.Interrupted {
		r.complain(a.Node, "the table changed while it was read: entries may be missing or shown twice")
	}
}

// leftover reports whether something that was to be touched was not, because of
// how many may be.
func (r *run) leftover(res *control.Result) bool {
	return res.Truncated && r.cmd.Verb != conntrack.VerbList
}

// complain is say with the node's name.
func (r *run) complain(node, text string) {
	if node != "" && !strings.HasPrefix(text, "node ") {
		text = "node " + node + ": " + text
	}
	if node != "" { // all of it may be the node's words
		text = plain(text)
	}
	r.say("%s", text)
}

// plain has a question mark for every control character: what comes from a node
// must not look like a line of its own or speak to a terminal.
func plain(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return '?'
		}
		return c
	}, s)
}

// total adds up what hosts counted.
func total(answers []control.Answer) (n uint64) {
	for i := range answers {
		if answers[i].Result != nil {
			n += answers[i].Result.Count
		}
	}
	return n
}

// summary prints how many there were and gives the exit code: nothing is a
// failure but for -L, and for -A, which may find all there.
func (r *run) summary(count uint64, code int) int {
	if r.quiet {
		return code
	}
	if code != exitOK && count == 0 {
		return code // the reason is told already
	}
	if text := r.summaryText(count); text != "" {
		r.say("%s", text)
	}
	if count == 0 && code == exitOK && r.cmd.Verb != conntrack.VerbList && r.cmd.Verb != conntrack.VerbAdd {
		return exitFailed
	}
	return code
}

func (r *run) summaryText(count uint64) string {
	verb := map[conntrack.Verb]string{
		conntrack.VerbList: "shown", conntrack.VerbGet: "shown", conntrack.VerbDelete: "deleted",
		conntrack.VerbCreate: "created", conntrack.VerbAdd: "added", conntrack.VerbUpdate: "updated",
	}[r.cmd.Verb]
	what := "flow entries"
	if r.cmd.Table == conntrack.TableExpect {
		if r.cmd.Verb == conntrack.VerbGet || r.cmd.Verb == conntrack.VerbCreate {
			return ""
		}
		what = "expectations"
	}
	if r.target.DryRun && r.cmd.Verb != conntrack.VerbList && r.cmd.Verb != conntrack.VerbGet {
		return fmt.Sprintf("%d %s would have been %s.", count, what, verb)
	}
	return fmt.Sprintf("%d %s have been %s.", count, what, verb)
}

// create carries out -I and -A. That an entry exists is what -A allows.
func (r *run) create(ctx context.Context) int {
	answers, err := r.hosts.Call(ctx, r.step.request, nil)
	for i := range answers {
		r.step.forgive(&answers[i])
	}
	code := r.judge(answers, err)
	if r.cmd.Table == conntrack.TableExpect {
		return code
	}
	return r.summary(total(answers), code)
}

// forgive takes from an answer the failures of -A that are none.
func (s *step) forgive(a *control.Answer) {
	exists := func(index int, err error) bool {
		return index >= 0 && index < len(s.made) && s.made[index].verb == conntrack.VerbAdd && errnoOf(err) == syscall.EEXIST
	}
	if a.Err != nil && len(s.made) == 1 && exists(0, a.Err) {
		a.Err = nil
	}
	if a.Result == nil {
		return
	}
	left := a.Result.Failures[:0:0]
	for _, failure := range a.Result.Failures {
		if exists(failure.Index, failure.Err) {
			a.Result.Failed--
			continue
		}
		left = append(left, failure)
	}
	a.Result.Failures = left
}

// flush carries out -F, which tells no number.
func (r *run) flush(ctx context.Context, q *control.Request) int {
	answers, err := r.hosts.Call(ctx, q, nil)
	code := r.judge(answers, err)
	what := "connection tracking"
	if r.cmd.Table == conntrack.TableExpect {
		what = "expectation"
	}
	for i := range answers {
		if answers[i].Err != nil || r.leftover(answers[i].Result) {
			continue
		}
		text := what + " table has been emptied."
		switch {
		case r.target.DryRun:
			text = fmt.Sprintf("%s table would have been emptied of %d entries.", what, answers[i].Result.Count)
		case answers[i].Result.Spared > 0:
			text = what + " table has been emptied of all others."
		}
		r.complain(answers[i].Node, text)
	}
	return code
}

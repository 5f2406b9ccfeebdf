package encode

import (
	"strconv"

	"github.com/ctferry/ctferry/source/flow"
)

// xmlAgent writes the agent's state and books.
func xmlAgent(dst []byte, a *flow.Agent) []byte {
	dst = append(dst, `<agent`...)
	dst = xmlAttrTextIf(dst, ` reason="`, a.Reason)
	dst = xmlAttrTextIf(dst, ` version="`, a.Version)
	dst = xmlAttrTextIf(dst, ` kernel="`, a.Kernel)
	dst = xmlAttr(dst, ` uptime_ns="`, notNegative(a.Uptime))
	dst = xmlAttrInt(dst, ` acct="`, a.Acct)
	dst = xmlAttrInt(dst, ` timestamp="`, a.Stamps)
	dst = xmlAttrInt(dst, ` events="`, a.Events)
	dst = append(xmlAttr(dst, ` last_seq="`, a.LastSeq), '>')
	dst = xmlClock(dst, &a.Clock)
	for i := range a.Tables {
		dst = append(dst, `<table`...)
		dst = xmlAttrTextIf(dst, ` netns="`, a.Tables[i].NetNS)
		dst = xmlAttr(dst, ` entries="`, uint64(a.Tables[i].Entries))
		dst = append(xmlAttr(dst, ` max="`, uint64(a.Tables[i].Max)), `/>`...)
	}
	for i := range a.Sockets {
		dst = xmlSocket(dst, &a.Sockets[i])
	}
	if a.Sink != nil {
		dst = xmlSink(dst, a.Sink)
	}
	for _, w := range a.Warnings {
		dst = xmlText(dst, `<warning>`, w)
	}
	return append(dst, `</agent>`...)
}

func xmlAttrInt(dst []byte, name string, v *int64) []byte {
	if v == nil {
		return dst
	}
	return append(strconv.AppendInt(append(dst, name...), *v, 10), '"')
}

func xmlClock(dst []byte, c *flow.Clock) []byte {
	dst = append(dst, `<clock`...)
	if c.Synced != nil {
		dst = xmlAttrBool(dst, ` synced="`, *c.Synced)
	}
	dst = xmlAttr(dst, ` steps="`, c.Steps)
	if c.Last != 0 {
		dst = xmlAttrInt(dst, ` last_step_ns="`, &c.Last)
	}
	return append(dst, `/>`...)
}

func xmlSocket(dst []byte, b *flow.SocketBooks) []byte {
	dst = append(dst, `<socket`...)
	dst = xmlAttrTextIf(dst, ` netns="`, b.NetNS)
	dst = xmlAttr(dst, ` offered="`, b.Offered)
	dst = xmlAttr(dst, ` received="`, b.Received)
	dst = xmlAttr(dst, ` lost="`, b.Lost)
	dst = xmlAttr(dst, ` emitted="`, b.Emitted)
	dst = xmlAttr(dst, ` excluded="`, b.Excluded)
	dst = xmlAttr(dst, ` malformed="`, b.Malformed)
	dst = xmlAttr(dst, ` foreign="`, b.Foreign)
	dst = xmlAttr(dst, ` last_seq="`, b.LastSeq)
	dst = xmlAttr(dst, ` buffer="`, b.Buffer)
	dst = xmlAttr(dst, ` queued="`, b.Queued)
	dst = xmlAttr(dst, ` growths="`, b.Growths)
	if b.Reliable || b.LetGo > 0 {
		dst = xmlAttrBool(dst, ` reliable="`, b.Reliable)
		dst = xmlAttr(dst, ` let_go="`, b.LetGo)
	}
	if b.KernelFilter {
		dst = xmlAttrBool(dst, ` kernel_filter="`, true)
	}
	if b.Refused != nil {
		dst = xmlAttr(dst, ` refused="`, *b.Refused)
	}
	if b.Track == (flow.TrackBooks{}) {
		return append(dst, `/>`...)
	}
	return append(xmlTrack(append(dst, '>'), &b.Track), `</socket>`...)
}

func xmlTrack(dst []byte, b *flow.TrackBooks) []byte {
	dst = append(dst, `<track`...)
	dst = xmlAttr(dst, ` flows="`, b.Flows)
	dst = xmlAttr(dst, ` max_flows="`, b.Max)
	dst = xmlAttr(dst, ` added="`, b.Added)
	dst = xmlAttr(dst, ` ended="`, b.Ended)
	dst = xmlAttr(dst, ` untracked="`, b.Untracked)
	dst = xmlAttr(dst, ` synthetic="`, b.Synthetic)
	dst = xmlAttr(dst, ` interim="`, b.Interim)
	dst = xmlAttr(dst, ` suppressed="`, b.Suppressed)
	dst = xmlAttr(dst, ` contradicted="`, b.Contradicted)
	dst = xmlAttr(dst, ` reconciled="`, b.Reconciled)
	dst = xmlAttr(dst, ` failed="`, b.Failed)
	return append(dst, `/>`...)
}

func xmlSink(dst []byte, b *flow.SinkBooks) []byte {
	dst = append(dst, `<sink`...)
	dst = xmlAttrTextIf(dst, ` name="`, b.Name)
	dst = xmlAttr(dst, ` offered="`, b.Offered)
	dst = xmlAttr(dst, ` recovered="`, b.Recovered)
	dst = xmlAttr(dst, ` delivered="`, b.Delivered)
	dst = xmlAttr(dst, ` dead_lettered="`, b.DeadLettered)
	dst = xmlAttr(dst, ` held="`, b.Held)
	dst = xmlAttr(dst, ` bytes="`, b.Bytes)
	dst = xmlAttr(dst, ` retries="`, b.Retries)
	dst = xmlAttr(dst, ` last_seq="`, b.LastSeq)
	dst = xmlAttrBool(dst, ` up="`, b.Up)
	dst = append(xmlAttrTextIf(dst, ` last_error="`, b.LastError), '>')
	dst = xmlTallies(dst, `<dropped`, b.Dropped)
	dst = xmlTallies(dst, `<error`, b.Errors)
	return append(dst, `</sink>`...)
}

func xmlTallies(dst []byte, open string, list []flow.Drop) []byte {
	for i := range list {
		dst = xmlAttrTextIf(append(dst, open...), ` reason="`, list[i].Reason)
		dst = append(xmlAttr(dst, ` count="`, list[i].Count), `/>`...)
	}
	return dst
}

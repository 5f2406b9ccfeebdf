package encode

import (
	"strconv"

	"github.com/ctferry/ctferry/source/flow"
)

// jsonAgent writes the agent's state and books. A status comes once a minute:
// nothing here is hot.
func jsonAgent(dst []byte, a *flow.Agent) []byte {
	dst = append(dst, `,"agent":`...)
	start := len(dst)
	dst = jsonText(dst, `,"reason":`, a.Reason)
	dst = jsonText(dst, `,"version":`, a.Version)
	dst = jsonText(dst, `,"kernel":`, a.Kernel)
	dst = jsonUint(dst, `,"uptime_ns":`, notNegative(a.Uptime))
	dst = jsonInt(dst, `,"acct":`, a.Acct)
	dst = jsonInt(dst, `,"timestamp":`, a.Stamps)
	dst = jsonInt(dst, `,"events":`, a.Events)
	dst = jsonClock(dst, &a.Clock)
	if len(a.Tables) > 0 {
		dst = append(dst, `,"tables":[`...)
		for i := range a.Tables {
			dst = jsonTable(jsonNext(dst, i), &a.Tables[i])
		}
		dst = append(dst, ']')
	}
	if len(a.Sockets) > 0 {
		dst = append(dst, `,"sockets":[`...)
		for i := range a.Sockets {
			dst = jsonSocket(jsonNext(dst, i), &a.Sockets[i])
		}
		dst = append(dst, ']')
	}
	if a.Sink != nil {
		dst = jsonSink(append(dst, `,"sink":`...), a.Sink)
	}
	dst = jsonUint(dst, `,"last_seq":`, a.LastSeq)
	dst = jsonStrings(dst, `,"warnings":[`, a.Warnings)
	return jsonObject(dst, start)
}

// jsonNext parts the values of a list.
func jsonNext(dst []byte, i int) []byte {
	if i > 0 {
		return append(dst, ',')
	}
	return dst
}

func jsonInt(dst []byte, name string, v *int64) []byte {
	if v == nil {
		return dst
	}
	return strconv.AppendInt(append(dst, name...), *v, 10)
}

func jsonClock(dst []byte, c *flow.Clock) []byte {
	dst = append(dst, `,"clock":`...)
	start := len(dst)
	if c.Synced != nil {
		dst = jsonBool(dst, `,"synced":`, *c.Synced)
	}
	dst = jsonUint(dst, `,"steps":`, c.Steps)
	if c.Last != 0 {
		dst = jsonInt(dst, `,"last_step_ns":`, &c.Last)
	}
	return jsonObject(dst, start)
}

func jsonTable(dst []byte, t *flow.TableFill) []byte {
	start := len(dst)
	dst = jsonText(dst, `,"netns":`, t.NetNS)
	dst = jsonUint(dst, `,"entries":`, uint64(t.Entries))
	dst = jsonUint(dst, `,"max":`, uint64(t.Max))
	return jsonObject(dst, start)
}

func jsonSocket(dst []byte, b *flow.SocketBooks) []byte {
	start := len(dst)
	dst = jsonText(dst, `,"netns":`, b.NetNS)
	dst = jsonUint(dst, `,"offered":`, b.Offered)
	dst = jsonUint(dst, `,"received":`, b.Received)
	dst = jsonUint(dst, `,"lost":`, b.Lost)
	dst = jsonUint(dst, `,"emitted":`, b.Emitted)
	dst = jsonUint(dst, `,"excluded":`, b.Excluded)
	dst = jsonUint(dst, `,"malformed":`, b.Malformed)
	dst = jsonUint(dst, `,"foreign":`, b.Foreign)
	dst = jsonUint(dst, `,"last_seq":`, b.LastSeq)
	dst = jsonUint(dst, `,"buffer":`, b.Buffer)
	dst = jsonUint(dst, `,"queued":`, b.Queued)
	dst = jsonUint(dst, `,"growths":`, b.Growths)
	if b.Reliable || b.LetGo > 0 {
		dst = jsonBool(dst, `,"reliable":`, b.Reliable)
		dst = jsonUint(dst, `,"let_go":`, b.LetGo)
	}
	if b.KernelFilter {
		dst = jsonBool(dst, `,"kernel_filter":`, true)
	}
	if b.Refused != nil {
		dst = jsonUint(dst, `,"refused":`, *b.Refused)
	}
	if b.Track != (flow.TrackBooks{}) {
		dst = jsonTrack(append(dst, `,"track":`...), &b.Track)
	}
	return jsonObject(dst, start)
}

func jsonTrack(dst []byte, b *flow.TrackBooks) []byte {
	start := len(dst)
	dst = jsonUint(dst, `,"flows":`, b.Flows)
	dst = jsonUint(dst, `,"max_flows":`, b.Max)
	dst = jsonUint(dst, `,"added":`, b.Added)
	dst = jsonUint(dst, `,"ended":`, b.Ended)
	dst = jsonUint(dst, `,"untracked":`, b.Untracked)
	dst = jsonUint(dst, `,"synthetic":`, b.Synthetic)
	dst = jsonUint(dst, `,"interim":`, b.Interim)
	dst = jsonUint(dst, `,"suppressed":`, b.Suppressed)
	dst = jsonUint(dst, `,"contradicted":`, b.Contradicted)
	dst = jsonUint(dst, `,"reconciled":`, b.Reconciled)
	dst = jsonUint(dst, `,"failed":`, b.Failed)
	return jsonObject(dst, start)
}

func jsonSink(dst []byte, b *flow.SinkBooks) []byte {
	start := len(dst)
	dst = jsonText(dst, `,"name":`, b.Name)
	dst = jsonUint(dst, `,"offered":`, b.Offered)
	dst = jsonUint(dst, `,"recovered":`, b.Recovered)
	dst = jsonUint(dst, `,"delivered":`, b.Delivered)
	dst = jsonTallies(dst, `,"dropped":[`, b.Dropped)
	dst = jsonUint(dst, `,"dead_lettered":`, b.DeadLettered)
	dst = jsonUint(dst, `,"held":`, b.Held)
	dst = jsonUint(dst, `,"bytes":`, b.Bytes)
	dst = jsonUint(dst, `,"retries":`, b.Retries)
	dst = jsonTallies(dst, `,"errors":[`, b.Errors)
	dst = jsonUint(dst, `,"last_seq":`, b.LastSeq)
	dst = jsonBool(dst, `,"up":`, b.Up)
	dst = jsonText(dst, `,"last_error":`, b.LastError)
	return jsonObject(dst, start)
}

func jsonTallies(dst []byte, name string, list []flow.Drop) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(dst, name...)
	for i := range list {
		dst = jsonNext(dst, i)
		start := len(dst)
		dst = jsonText(dst, `,"reason":`, list[i].Reason)
		dst = jsonUint(dst, `,"count":`, list[i].Count)
		dst = jsonObject(dst, start)
	}
	return append(dst, ']')
}

package encode

// agentMembers are the fields of Agent.
var agentMembers = []member{
	{name: "reason", num: 1, kind: kindString, set: func(d *draft, v *value) { d.e.Agent.Reason = v.s }},
	{name: "version", num: 2, kind: kindString, set: func(d *draft, v *value) { d.e.Agent.Version = v.s }},
	{name: "kernel", num: 3, kind: kindString, set: func(d *draft, v *value) { d.e.Agent.Kernel = v.s }},
	{name: "uptime_ns", num: 4, kind: kindUint64, set: func(d *draft, v *value) { d.e.Agent.Uptime = span(v.u) }},
	{name: "acct", num: 5, kind: kindInt64, set: func(d *draft, v *value) { d.e.Agent.Acct = new(int64(v.u)) }},
	{name: "timestamp", num: 6, kind: kindInt64, set: func(d *draft, v *value) { d.e.Agent.Stamps = new(int64(v.u)) }},
	{name: "events", num: 7, kind: kindInt64, set: func(d *draft, v *value) { d.e.Agent.Events = new(int64(v.u)) }},
	{name: "clock", num: 8, kind: kindMessage, inner: clockMembers, set: nothing},
	{name: "tables", num: 9, kind: kindMessage, many: true, inner: tableMembers, set: (*draft).enterTable},
	{name: "sockets", num: 10, kind: kindMessage, many: true, inner: socketMembers, set: (*draft).enterSocket},
	{name: "sink", num: 11, kind: kindMessage, inner: sinkMembers, set: (*draft).enterSink},
	{name: "last_seq", num: 12, kind: kindUint64, set: func(d *draft, v *value) { d.e.Agent.LastSeq = v.u }},
	{name: "warnings", num: 13, kind: kindString, many: true, set: func(d *draft, v *value) { d.e.Agent.Warnings = append(d.e.Agent.Warnings, v.s) }},
}

// clockMembers are the fields of Clock.
var clockMembers = []member{
	{name: "synced", num: 1, kind: kindBool, set: func(d *draft, v *value) { d.e.Agent.Clock.Synced = new(v.u != 0) }},
	{name: "steps", num: 2, kind: kindUint64, set: func(d *draft, v *value) { d.e.Agent.Clock.Steps = v.u }},
	{name: "last_step_ns", num: 3, kind: kindZigZag, set: func(d *draft, v *value) { d.e.Agent.Clock.Last = int64(v.u) }},
}

// tableMembers are the fields of TableFill.
var tableMembers = []member{
	{name: "netns", num: 1, kind: kindString, set: func(d *draft, v *value) { d.table.NetNS = v.s }},
	{name: "entries", num: 2, kind: kindUint32, set: func(d *draft, v *value) { d.table.Entries = uint32(v.u) }},
	{name: "max", num: 3, kind: kindUint32, set: func(d *draft, v *value) { d.table.Max = uint32(v.u) }},
}

// socketMembers are the fields of SocketBooks.
var socketMembers = []member{
	{name: "netns", num: 1, kind: kindString, set: func(d *draft, v *value) { d.socket.NetNS = v.s }},
	{name: "offered", num: 2, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Offered = v.u }},
	{name: "received", num: 3, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Received = v.u }},
	{name: "lost", num: 4, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Lost = v.u }},
	{name: "emitted", num: 5, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Emitted = v.u }},
	{name: "excluded", num: 6, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Excluded = v.u }},
	{name: "malformed", num: 7, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Malformed = v.u }},
	{name: "foreign", num: 8, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Foreign = v.u }},
	{name: "last_seq", num: 9, kind: kindUint64, set: func(d *draft, v *value) { d.socket.LastSeq = v.u }},
	{name: "buffer", num: 10, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Buffer = v.u }},
	{name: "queued", num: 11, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Queued = v.u }},
	{name: "growths", num: 12, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Growths = v.u }},
	{name: "reliable", num: 16, kind: kindBool, set: func(d *draft, v *value) { d.socket.Reliable = v.u != 0 }},
	{name: "let_go", num: 17, kind: kindUint64, set: func(d *draft, v *value) { d.socket.LetGo = v.u }},
	{name: "track", num: 18, kind: kindMessage, inner: trackMembers, set: func(*draft, *value) {}},
	{name: "kernel_filter", num: 19, kind: kindBool, set: func(d *draft, v *value) { d.socket.KernelFilter = v.u != 0 }},
	{name: "refused", num: 20, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Refused = new(v.u) }},
}

// trackMembers are the fields of TrackBooks.
var trackMembers = []member{
	{name: "flows", num: 1, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Track.Flows = v.u }},
	{name: "max_flows", num: 2, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Track.Max = v.u }},
	{name: "added", num: 3, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Track.Added = v.u }},
	{name: "ended", num: 4, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Track.Ended = v.u }},
	{name: "untracked", num: 5, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Track.Untracked = v.u }},
	{name: "synthetic", num: 6, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Track.Synthetic = v.u }},
	{name: "interim", num: 7, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Track.Interim = v.u }},
	{name: "suppressed", num: 8, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Track.Suppressed = v.u }},
	{name: "contradicted", num: 9, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Track.Contradicted = v.u }},
	{name: "reconciled", num: 10, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Track.Reconciled = v.u }},
	{name: "failed", num: 11, kind: kindUint64, set: func(d *draft, v *value) { d.socket.Track.Failed = v.u }},
}

// sinkMembers are the fields of SinkBooks.
var sinkMembers = []member{
	{name: "name", num: 1, kind: kindString, set: func(d *draft, v *value) { d.e.Agent.Sink.Name = v.s }},
	{name: "offered", num: 2, kind: kindUint64, set: func(d *draft, v *value) { d.e.Agent.Sink.Offered = v.u }},
	{name: "recovered", num: 3, kind: kindUint64, set: func(d *draft, v *value) { d.e.Agent.Sink.Recovered = v.u }},
	{name: "delivered", num: 4, kind: kindUint64, set: func(d *draft, v *value) { d.e.Agent.Sink.Delivered = v.u }},
	{name: "dropped", num: 5, kind: kindMessage, many: true, inner: tallyMembers, set: (*draft).enterDropped},
	{name: "dead_lettered", num: 6, kind: kindUint64, set: func(d *draft, v *value) { d.e.Agent.Sink.DeadLettered = v.u }},
	{name: "held", num: 7, kind: kindUint64, set: func(d *draft, v *value) { d.e.Agent.Sink.Held = v.u }},
	{name: "bytes", num: 8, kind: kindUint64, set: func(d *draft, v *value) { d.e.Agent.Sink.Bytes = v.u }},
	{name: "retries", num: 9, kind: kindUint64, set: func(d *draft, v *value) { d.e.Agent.Sink.Retries = v.u }},
	{name: "errors", num: 10, kind: kindMessage, many: true, inner: tallyMembers, set: (*draft).enterErrors},
	{name: "last_seq", num: 11, kind: kindUint64, set: func(d *draft, v *value) { d.e.Agent.Sink.LastSeq = v.u }},
	{name: "up", num: 12, kind: kindBool, set: func(d *draft, v *value) { d.e.Agent.Sink.Up = v.u != 0 }},
	{name: "last_error", num: 13, kind: kindString, set: func(d *draft, v *value) { d.e.Agent.Sink.LastError = v.s }},
}

// tallyMembers are the fields of Tally.
var tallyMembers = []member{
	{name: "reason", num: 1, kind: kindString, set: func(d *draft, v *value) { d.tally.Reason = v.s }},
	{name: "count", num: 2, kind: kindUint64, set: func(d *draft, v *value) { d.tally.Count = v.u }},
}

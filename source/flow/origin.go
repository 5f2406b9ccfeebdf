package flow

// Origin is what is the same for every event of one socket: who read it and
// where. It is immutable once an event points to it, so a reader of records may
// compare pointers and keep it.
type Origin struct {
	Node   string   // the node's configured name
	NetNS  string   // configured name of the namespace, "" for the service's own
	Meta   []Pair   // static strings from the configuration, sorted by key, at most 16
	BootID [16]byte // /proc/sys/kernel/random/boot_id; all zero when unknown
	Run    [16]byte // random, made once a process
	Cookie uint64   // SO_NETNS_COOKIE of the socket's namespace; part of the flow id, not of the record
}

// Pair is one of an Origin's static strings.
type Pair struct{ Key, Value string }

// MaxMeta is how many static strings a node may carry.
const MaxMeta = 16

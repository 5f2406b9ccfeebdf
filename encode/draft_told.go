package encode

import (
	"crypto/sha1"
	"encoding/base64"

	"github.com/ctferry/ctferry/source/flow"
)

// trust says which of the values that can be derived a decoder keeps as they
// are told.
type trust uint8

const (
	trustWhole  trust = iota // those that would be derived otherwise, for the record was cut down
	trustTuples              // none that the tuples have addresses to derive from, and no other value: people wrote it
	trustRecord              // all
)

func (d *draft) setClose(v *value) {
	if r := flow.CloseReason(v.u); r.String() != "" {
		d.told.Close = r
	}
}

// community keeps a Community ID; what is none is of a later version, and absent.
func (d *draft) community(to *string, bit flow.ToldHas, id string) {
	const version = "1:"
	if len(id) != len(version)+28 || id[:len(version)] != version {
		return
	}
	if hash, err := base64.StdEncoding.DecodeString(id[len(version):]); err == nil && len(hash) == sha1.Size {
		*to = id
		d.told.Has |= bit
	}
}

// finishTold keeps the derived values that cannot be derived again. A Community
// ID never can: the seed is not in the record.
func (d *draft) finishTold() {
	e, t := d.e, &d.told
	if d.trust == trustTuples {
		return
	}
	if e.Got(flow.HasStart | flow.HasStop) {
		t.Has &^= flow.HasToldDuration
	}
	if e.Type == flow.TypeDestroy && (d.trust == trustRecord || e.CloseReason() != t.Close) {
		t.Has |= flow.HasToldClose
	}
	if t.Has != 0 {
		d.extra(flow.HasTold).Told = *t
	}
}

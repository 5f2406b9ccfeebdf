package flow

// Key names an entry of the conntrack table: a tuple in full, and the zone.
type Key struct {
	Tuple Tuple
	Reply bool    // Tuple is the reply direction
	Zone  uint16  // 0 is the default zone
	ID    *uint32 // CTA_ID that the entry must have too; nil is any
}

// KeyOf is the key of an entry that was read: its original tuple, zone and id,
// as far as they are present. It holds nothing of e.
func KeyOf(e *Event) Key {
	k := Key{Tuple: e.Orig}
	if e.Got(HasZone) {
		k.Zone = e.Zone
	}
	if e.Got(HasID) {
		id := e.ID
		k.ID = &id
	}
	return k
}

// ExpectKey names an entry of the expect table: the tuple that is expected, in
// full, and the zone.
type ExpectKey struct {
	Tuple Tuple
	Zone  uint16
	ID    *uint32 // CTA_EXPECT_ID that the entry must have too; nil is any
}

// ExpectKeyOf is the key of an expectation that was read, which must have its
// tuple. It holds nothing of x.
func ExpectKeyOf(x *Expectation) ExpectKey {
	k := ExpectKey{Tuple: x.Tuple}
	if x.Got(HasExpectZone) {
		k.Zone = x.Zone
	}
	if x.Got(HasExpectID) {
		id := x.ID
		k.ID = &id
	}
	return k
}

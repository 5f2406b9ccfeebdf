package flow

// Update is what is to change of an entry; nil leaves a value as it is. Only
// the key and what changes is sent: with a NAT or a master the kernel refuses
// the whole (EOPNOTSUPP), so it is never told what an entry has.
//
// The kernel applies what it is told in the order helper, timeout, status,
// protocol state, mark, labels. An error midway leaves what came before it
// changed.
type Update struct {
	// Helper attaches a helper by name; "" takes it away, with its
	// expectations. An entry that was made without one can be given none
	// (EOPNOTSUPP), one that has another keeps it (EBUSY).
	Helper *string

	Timeout *uint32 // seconds; EPERM for an entry with FIXED_TIMEOUT

	// Status is the whole new status. SEEN_REPLY and ASSURED can be set but not
	// cleared, EXPECTED and DYING must be as they are, else EBUSY; so send the
	// row's own status with more bits. CONFIRMED is added. Bits that are the
	// kernel's own, as of NAT and of offload, stay whatever is told.
	Status *uint32

	TCP  *TCPUpdate
	SCTP *SCTP // all of it
	DCCP *DCCP // all of it; newer kernels know no DCCP

	// Mark gives the new mark: (old &^ Mask) ^ Value. Bits of Value outside of
	// Mask toggle: 5 with 0x10/0xf0 is 0x15, and with 0x11/0xf0 is 0x14. A mask
	// of all ones replaces the mark.
	Mark *Masked

	// Labels change as a mark does; ENOSPC for an entry that was made while no
	// rule of the namespace used labels.
	Labels *MaskedLabels
}

// TCPUpdate is what is to change of a TCP connection's state.
type TCPUpdate struct {
	State                 *uint8       // enum tcp_conntrack
	WScale                *[2]uint8    // original, reply; the kernel takes both, for a connection that scales
	FlagsOrig, FlagsReply *MaskedFlags // IP_CT_TCP_FLAG_*
}

// MaskedFlags are TCP tracking flags of which those in Mask are set to Value
// (struct nf_ct_tcp_flags); unlike with a mark, no other bit changes.
type MaskedFlags struct{ Value, Mask uint8 }

// MaskedLabels are labels of which those in Mask are set to Value. They are as
// the kernel keeps them: label n is bit n%8 of byte n/8. As with a mark, bits
// of Value outside of Mask toggle. To add labels give them in both; to take
// them away give them in Mask.
type MaskedLabels struct{ Value, Mask [16]byte }

// Change is one write to a table; exactly one member is set.
type Change struct {
	Create       *Creation
	Update       *KeyUpdate
	Delete       *Key
	CreateExpect *Expectation
	DeleteExpect *ExpectKey
}

// KeyUpdate is an update of one entry.
type KeyUpdate struct {
	Key    Key
	Update Update
}

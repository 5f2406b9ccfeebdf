package conntrack

import "github.com/ctferry/ctferry/source/flow"

// finish checks the line as a whole, in the order of the tool's own checks,
// and then what only this package refuses.
func (l *line) finish() (*Command, error) {
	if l.given.has(kAnyNAT) && l.given.any(kSrcNAT, kDstNAT) {
		return nil, wrong("cannot specify `--src-nat' or `--dst-nat' with `--any-nat'")
	}
	for _, check := range []func() error{l.checkParameters, l.checkEnds, l.checkProtocol, l.checkMasks, l.checkZero, l.checkStrict} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	c := &l.cmd
	if c.LabelDelAll {
		c.LabelDel = nil
	}
	if c.Table == TableExpect {
		c.Src, c.Dst = Masked{Addr: l.src.addr}, Masked{Addr: l.dst.addr}
		if c.Verb == VerbCreate {
			c.Expect = Expect{TupleSrc: l.expectSrc.addr, TupleDst: l.expectDst.addr, MaskSrc: l.expectSrc.mask, MaskDst: l.expectDst.mask}
		}
		return c, nil
	}
	c.Src, c.Dst = masked(l.src.addr, l.src.mask), masked(l.dst.addr, l.dst.mask)
	return c, nil
}

func (l *line) checkParameters() error {
	given := l.given &^ keysOf(kNATRange)
	err := lawOf(l.cmd.Verb, l.cmd.Table).check(given, kSrc, kReplyZone, l.table)
	if err != nil && l.cmd.Verb == VerbNone && given&keysOf(kReplyZone) == given {
		return stricter("no-command", "%s", err)
	}
	return err
}

// needsTuple reports whether the command needs both addresses, and both ports,
// of one direction.
func (l *line) needsTuple() bool {
	return l.cmd.Table == TableConntrack && (l.cmd.Verb == VerbCreate || l.cmd.Verb == VerbAdd || l.cmd.Verb == VerbGet)
}

func (l *line) checkEnds() error {
	return l.checkPair(kSrc, kDst, kReplySrc, kReplyDst, [2]string{"`--src' and `--dst'", "`--reply-src' and `--reply-dst'"})
}

func (l *line) checkPair(a, b, replyA, replyB key, words [2]string) error {
	switch {
	case !l.needsTuple(), l.given.all(a, b), l.given.all(replyA, replyB):
		return nil
	case l.given.any(replyA, replyB) && !l.given.any(a, b):
		return wrong("you have to specify %s", words[1])
	}
	return wrong("you have to specify %s", words[0])
}

func (l *line) checkProtocol() error {
	if l.proto == nil {
		return nil
	}
	if err := l.proto.law(l.cmd.Verb, l.cmd.Table).check(l.given, kPortSrc, kICMPID, l.table); err != nil {
		return err
	}
	if l.proto.ends[0] == "" {
		return nil
	}
	return l.checkPair(kPortSrc, kPortDst, kPortReplySrc, kPortReplyDst, l.proto.ends)
}

// checkMasks wants an address for every mask. The tool forgets that in the
// tables dying and unconfirmed.
func (l *line) checkMasks() error {
	if l.cmd.Table == TableExpect {
		return nil
	}
	fault := func(side string) error {
		if l.cmd.Table != TableConntrack {
			return stricter("dying-masks", "Can't use --mask-%s without --%s", side, side)
		}
		return wrong("Can't use --mask-%s without --%s", side, side)
	}
	switch {
	case l.given.has(kMaskSrc) && !l.given.has(kSrc):
		return fault("src")
	case l.given.has(kMaskDst) && !l.given.has(kDst):
		return fault("dst")
	}
	return nil
}

// checkZero refuses to zero the counters of more entries than are shown.
func (l *line) checkZero() error {
	if !l.cmd.Zero {
		return nil
	}
	const text = "Can't use -z with filtering parameters"
	switch {
	case l.cmd.Table != TableConntrack:
		return stricter("dying-zero", "Can't use -z with the table `%s'", l.cmd.Table)
	case l.given.any(kSrc, kDst, kReplySrc, kReplyDst, kProto, kStatus, kMark, kSecmark, kZone, kOrigZone, kReplyZone, kLabel):
		return wrong(text)
	case l.given.any(kSrcNAT, kDstNAT, kAnyNAT):
		return stricter("zero-nat", text)
	}
	return nil
}

// checkStrict holds what conntrack lets pass without a word.
func (l *line) checkStrict() error {
	c := &l.cmd
	creates := c.Verb == VerbCreate || c.Verb == VerbAdd
	st := c.Status
	switch {
	case len(l.strays) > 0:
		return stricter("stray-words", "unexpected word `%s'", l.strays[0])
	case l.natRange:
		return stricter("nat-range", "option `--nat-range' does nothing: use --src-nat or --dst-nat")
	case creates && l.markMask:
		return stricter("mark-mask", "`--mark' takes no mask with this command: expected one number")
	case l.unset && (st.Bits != 0 || st.Unreplied), !creates && st.Unreplied && st.Bits&flow.StatusSeenReply != 0:
		return stricter("status-contradiction", "`--status' contradicts itself")
	case c.Verb == VerbCreate && c.Table == TableExpect && (l.src.cidr || l.dst.cidr):
		return stricter("expect-cidr", "CIDR notation unavailable for `--src' and `--dst' of a master: use --tuple-src, --tuple-dst")
	case creates && (c.SrcNAT.Set && !c.SrcNAT.Addr.IsValid() || c.DstNAT.Set && !c.DstNAT.Addr.IsValid()):
		return stricter("nat-create", "`--src-nat' and `--dst-nat' need an address with this command")
	}
	return nil
}

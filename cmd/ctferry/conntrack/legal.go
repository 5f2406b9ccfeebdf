package conntrack

import "strings"

// letters stand for the parameters in the order of their keys: the short
// option, or the sign that getopt has for a long one without.
const letters = "sdrqptuze[]{}amifngocbjwl+-()"

// law says which parameters a command must and may have.
type law struct{ must, may keys }

// lawOf is the law of a verb on a table. What a verb cannot do to a table was
// refused before.
func lawOf(v Verb, t Table) law {
	if t == TableExpect {
		return expectLaws[v]
	}
	return conntrackLaws[v]
}

// conntrackLaws and expectLaws are only read. They were measured on conntrack
// 1.4.7 with every pair of parameters.
var conntrackLaws = [verbs]law{
	VerbList:   {may: keysIn("sdrqpuz{}mfngocjwl()")},
	VerbGet:    {must: keysIn("p"), may: keysIn("sdrqiol")},
	VerbDelete: {may: keysIn("sdrqptu{}mifngowl()")},
	VerbCreate: {must: keysIn("pt"), may: keysIn("sdrqumngw+()")},
	VerbAdd:    {must: keysIn("pt"), may: keysIn("sdrqumngw+()")},
	VerbUpdate: {may: keysIn("sdrqptu{}mifngol+-")},
	VerbEvents: {may: keysIn("sdrqpe{}mfngocbjwl()")},
	VerbFlush:  {may: keysIn("f")},
	VerbHelp:   {may: keysIn("p")},
}

var expectLaws = [verbs]law{
	VerbList:   {may: keysIn("fo")},
	VerbGet:    {must: keysIn("sdp"), may: keysIn("rq")},
	VerbDelete: {must: keysIn("sdp"), may: keysIn("rq")},
	VerbCreate: {must: keysIn("sdpt[]{}"), may: keysIn("rqu")},
	VerbEvents: {may: keysIn("o")},
	VerbHelp:   {may: keysIn("p")},
}

func keysIn(signs string) keys {
	var s keys
	for i := range len(signs) {
		s |= 1 << (kSrc + key(strings.IndexByte(letters, signs[i])))
	}
	return s
}

// check finds the first parameter from first to last that is missing, or that
// may not be there.
func (l law) check(given keys, first, last key, table []option) error {
	for k := first; k <= last; k++ {
		if l.must.has(k) && !given.has(k) {
			return wrong("You need to supply the `--%s' option for this command", nameOf(table, k))
		}
		if given.has(k) && !l.must.has(k) && !l.may.has(k) {
			return wrong("Illegal option `--%s' with this command", nameOf(table, k))
		}
	}
	return nil
}

// checkTable refuses what a verb cannot do to a table at all. The tool does
// that as soon as it reads the table's name.
func checkTable(v Verb, t Table) error {
	switch {
	case t > TableExpect && v != VerbList:
		return wrong("Can't do that command with tables `dying' and `unconfirmed'")
	case t == TableExpect && (v == VerbUpdate || v == VerbAdd):
		return wrong("Can't do --%s on expectations", v)
	}
	return nil
}

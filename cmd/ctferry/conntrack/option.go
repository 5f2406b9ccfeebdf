package conntrack

// arg says whether an option takes a value.
type arg uint8

const (
	argNone     arg = iota
	argRequired     // attached, after =, or the next word whatever it is
	argOptional     // attached, after =, or the next word if it does not begin with a dash
)

// option is one row of the table that getopt works on. The first of its names
// is the one that messages use; the others are aliases of it.
type option struct {
	key   key
	short byte // 0: none
	names []string
	arg   arg
	verb  Verb // of kCommand
}

// options are the ones that exist on every line. The table name after a
// command is its optional value; -S, -h and -V take it as the next word only.
// Whoever appends to them gets a copy.
func options() []option { return optionTable[:len(optionTable):len(optionTable)] }

// optionTable is only read.
var optionTable = [...]option{
	{kCommand, 'L', []string{"dump"}, argOptional, VerbList},
	{kCommand, 'I', []string{"create"}, argOptional, VerbCreate},
	{kCommand, 'D', []string{"delete"}, argOptional, VerbDelete},
	{kCommand, 'U', []string{"update"}, argOptional, VerbUpdate},
	{kCommand, 'G', []string{"get"}, argOptional, VerbGet},
	{kCommand, 'F', []string{"flush"}, argOptional, VerbFlush},
	{kCommand, 'E', []string{"event"}, argOptional, VerbEvents},
	{kCommand, 'C', []string{"counter"}, argOptional, VerbCount},
	{kCommand, 'S', []string{"stats"}, argNone, VerbStats},
	{kCommand, 'A', []string{"add"}, argOptional, VerbAdd},
	{kCommand, 'V', []string{"version"}, argNone, VerbVersion},
	{kCommand, 'h', []string{"help"}, argNone, VerbHelp},
	{kCommand, 'R', []string{"load-file"}, argRequired, VerbLoadFile},
	{key: kSrc, short: 's', names: []string{"src", "orig-src"}, arg: argRequired},
	{key: kDst, short: 'd', names: []string{"dst", "orig-dst"}, arg: argRequired},
	{key: kReplySrc, short: 'r', names: []string{"reply-src"}, arg: argRequired},
	{key: kReplyDst, short: 'q', names: []string{"reply-dst"}, arg: argRequired},
	{key: kProto, short: 'p', names: []string{"protonum"}, arg: argRequired},
	{key: kTimeout, short: 't', names: []string{"timeout"}, arg: argRequired},
	{key: kStatus, short: 'u', names: []string{"status"}, arg: argRequired},
	{key: kZero, short: 'z', names: []string{"zero"}},
	{key: kEvents, short: 'e', names: []string{"event-mask"}, arg: argRequired},
	{key: kTupleSrc, names: []string{"tuple-src"}, arg: argRequired},
	{key: kTupleDst, names: []string{"tuple-dst"}, arg: argRequired},
	{key: kMaskSrc, names: []string{"mask-src"}, arg: argRequired},
	{key: kMaskDst, names: []string{"mask-dst"}, arg: argRequired},
	{key: kNATRange, short: 'a', names: []string{"nat-range"}, arg: argRequired},
	{key: kMark, short: 'm', names: []string{"mark"}, arg: argRequired},
	{key: kID, short: 'i', names: []string{"id"}, arg: argRequired},
	{key: kFamily, short: 'f', names: []string{"family"}, arg: argRequired},
	{key: kSrcNAT, short: 'n', names: []string{"src-nat"}, arg: argOptional},
	{key: kDstNAT, short: 'g', names: []string{"dst-nat"}, arg: argOptional},
	{key: kOutput, short: 'o', names: []string{"output"}, arg: argRequired},
	{key: kSecmark, short: 'c', names: []string{"secmark"}, arg: argRequired},
	{key: kBuffer, short: 'b', names: []string{"buffer-size"}, arg: argRequired},
	{key: kAnyNAT, short: 'j', names: []string{"any-nat"}, arg: argOptional},
	{key: kZone, short: 'w', names: []string{"zone"}, arg: argRequired},
	{key: kLabel, short: 'l', names: []string{"label"}, arg: argRequired},
	{key: kLabelAdd, names: []string{"label-add"}, arg: argRequired},
	{key: kLabelDel, names: []string{"label-del"}, arg: argOptional},
	{key: kOrigZone, names: []string{"orig-zone"}, arg: argRequired},
	{key: kReplyZone, names: []string{"reply-zone"}, arg: argRequired},
}

// shortOptions has the letter of each option at its place in optionTable; NUL is
// none. A protocol's own options, which stand behind them, have none.
var shortOptions = func() string {
	var letters [len(optionTable)]byte
	for i := range optionTable {
		letters[i] = optionTable[i].short
	}
	return string(letters[:])
}()

// nameOf is the long name that messages use for a parameter.
func nameOf(table []option, k key) string {
	for i := range table {
		if table[i].key == k {
			return table[i].names[0]
		}
	}
	return ""
}

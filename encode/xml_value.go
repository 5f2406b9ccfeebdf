package encode

import (
	"unicode/utf8"

	"github.com/ctferry/ctferry/source/flow"
)

// The functions below write one attribute or one element. An attribute's name
// comes with the blank before it, up to the opening quote; an element's name
// comes as its start tag, and its end tag is made from that.

func xmlAttr(dst []byte, name string, v uint64) []byte {
	return append(appendUint(append(dst, name...), v), '"')
}

// xmlAttrWord writes a word that needs no escaping; an empty one is absent.
func xmlAttrWord(dst []byte, name, word string) []byte {
	if word == "" {
		return dst
	}
	return append(append(append(dst, name...), word...), '"')
}

func xmlAttrText(dst []byte, name, s string) []byte {
	return append(xmlString(append(dst, name...), s), '"')
}

// xmlAttrTextIf leaves out an empty text.
func xmlAttrTextIf(dst []byte, name, s string) []byte {
	if s == "" {
		return dst
	}
	return xmlAttrText(dst, name, s)
}

func xmlAttrID(dst []byte, name string, v uint64) []byte {
	return append(appendID(append(dst, name...), v), '"')
}

func xmlAttrBool(dst []byte, name string, v bool) []byte {
	if v {
		return xmlAttrWord(dst, name, "true")
	}
	return xmlAttrWord(dst, name, "false")
}

// xmlEnd writes the end tag of a start tag without attributes.
func xmlEnd(dst []byte, start string) []byte {
	return append(append(dst, '<', '/'), start[1:]...)
}

func xmlUint(dst []byte, start string, v uint64) []byte {
	return xmlEnd(appendUint(append(dst, start...), v), start)
}

// xmlKey writes a GRE key as conntrack does.
func xmlKey(dst []byte, start string, v uint16) []byte {
	return xmlEnd(appendHex16(append(append(dst, start...), '0', 'x'), v), start)
}

func xmlWord(dst []byte, start, word string) []byte {
	if word == "" {
		return dst
	}
	return xmlEnd(append(append(dst, start...), word...), start)
}

func xmlText(dst []byte, start, s string) []byte {
	return xmlEnd(xmlString(append(dst, start...), s), start)
}

func xmlAddr(dst []byte, start string, a *flow.Addr, f flow.Family) []byte {
	return xmlEnd(appendAddr(append(dst, start...), a, f), start)
}

// xmlBits writes the names of the bits that are set and have one, parted by blanks.
func xmlBits(dst []byte, set uint32, nameOf func(int) string) []byte {
	start := len(dst)
	for set != 0 {
		word := nameOf(nextBit(&set))
		if word == "" {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		dst = append(dst, word...)
	}
	return dst
}

// xmlString appends s as text or as an attribute's value. What XML 1.0 cannot
// hold (most control characters, U+FFFE, U+FFFF, broken UTF-8) becomes U+FFFD;
// tabs and line ends are written as references, so that they survive in
// attributes and a record stays on its line.
func xmlString(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		escape := xmlEscape(r, size)
		if escape != "" {
			dst = append(append(dst, s[start:i]...), escape...)
			start = i + size
		}
		i += size
	}
	return append(dst, s[start:]...)
}

// xmlEscape gives what stands for a rune of the given size, "" for itself.
func xmlEscape(r rune, size int) string {
	switch r {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '"':
		return "&#34;"
	case '\'':
		return "&#39;"
	case '\t':
		return "&#x9;"
	case '\n':
		return "&#xA;"
	case '\r':
		return "&#xD;"
	case utf8.RuneError:
		if size > 1 {
			return "" // it was there before us
		}
		return "\ufffd"
	case '\ufffe', '\uffff':
		return "\ufffd"
	}
	if r < ' ' {
		return "\ufffd"
	}
	return ""
}

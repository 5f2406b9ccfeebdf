package encode

import "unicode/utf8"

// The functions below write one member. Its name comes with the comma before
// it and everything up to the value, as one constant.

func jsonUint(dst []byte, name string, v uint64) []byte {
	return appendUint(append(dst, name...), v)
}

func jsonID(dst []byte, name string, v uint64) []byte {
	return append(appendID(append(dst, name...), v), '"')
}

// jsonWord writes a word that needs no escaping; an empty one is absent.
func jsonWord(dst []byte, name, word string) []byte {
	if word == "" {
		return dst
	}
	return append(append(append(dst, name...), word...), '"')
}

// jsonText writes any string; an empty one is absent.
func jsonText(dst []byte, name, s string) []byte {
	if s == "" {
		return dst
	}
	return jsonString(append(dst, name...), s)
}

func jsonBool(dst []byte, name string, v bool) []byte {
	dst = append(dst, name...)
	if v {
		return append(dst, "true"...)
	}
	return append(dst, "false"...)
}

// jsonStrings writes a list; an empty one is absent.
func jsonStrings(dst []byte, name string, list []string) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(dst, name...)
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonString(dst, s)
	}
	return append(dst, ']')
}

// jsonBits writes the names of the bits that are set and have one.
func jsonBits(dst []byte, name string, set uint32, nameOf func(int) string) []byte {
	dst = append(dst, name...)
	start := len(dst)
	for set != 0 {
		word := nameOf(nextBit(&set))
		if word == "" {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), word...), '"')
	}
	return append(dst, ']')
}

// jsonObject ends an object whose members, each with a comma before it, stand
// from start on. One without members becomes {}.
func jsonObject(dst []byte, start int) []byte {
	if len(dst) == start {
		return append(dst, '{', '}')
	}
	dst[start] = '{'
	return append(dst, '}')
}

// jsonString appends s as a string, quotes and all, as encoding/json does
// without HTML escaping, line separators of JavaScript included. A broken UTF-8
// sequence becomes U+FFFD itself, not its escape, so that what is read and
// written again stays as it is.
func jsonString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		size, escape := 1, ""
		if c >= utf8.RuneSelf {
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				escape = "\ufffd"
			case r == '\u2028':
				escape = `\u2028`
			case r == '\u2029':
				escape = `\u2029`
			default:
				i += size
				continue
			}
		}
		dst = append(dst, s[start:i]...)
		if escape != "" {
			dst = append(dst, escape...)
		} else {
			dst = jsonEscape(dst, c)
		}
		i += size
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

// jsonEscape appends the escape of a control character, a quote or a backslash.
func jsonEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

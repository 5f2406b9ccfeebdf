package conntrack

import "fmt"

// UsageError is a command line that cannot be carried out.
type UsageError struct {
	Message    string // one line, the tool's own wherever the tool refuses too
	Difference string // ID of the entry of Differences that is behind it, or ""
	Code       int    // the exit code: 2, and 1 where the tool says 1
}

// Error is the message alone.
func (e *UsageError) Error() string { return e.Message }

// Text is what belongs on standard error: the message behind the program's
// banner ("conntrack v1.4.7 (conntrack-tools)"), and for exit code 2 a second
// line that names the program's help.
func (e *UsageError) Text(banner, program string) string {
	first := banner + ": " + e.Message + "\n"
	if e.Code != 2 {
		return first
	}
	return first + fmt.Sprintf("Try `%s -h' or '%s --help' for more information.\n", program, program)
}

// wrong is an error that the tool reports in the same words.
func wrong(format string, args ...any) error {
	return &UsageError{Message: fmt.Sprintf(format, args...), Code: 2}
}

// stricter is an error where the tool goes on; id is in Differences.
func stricter(id, format string, args ...any) error {
	return &UsageError{Message: fmt.Sprintf(format, args...), Code: 2, Difference: id}
}

// notBoth is a combination that the tool refuses with exit code 1.
func notBoth(message string) error { return &UsageError{Message: message, Code: 1} }

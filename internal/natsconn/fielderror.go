package natsconn

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ctferry/ctferry/internal/option"
)

// FieldError says which setting is wrong and why. Its text is "field: message".
// It is of the configuration class: trying again without a change cannot help,
// unless a file that the field names is put right.
type FieldError struct {
	// Field is the setting's path as the configuration spells it, for example
	// tls.ca_file or urls[1].
	Field string
	// Msg says what is wrong; when empty, Err's text does.
	Msg string
	// Err is the cause, or nil.
	Err error
}

// Error returns "field: message".
func (e *FieldError) Error() string {
	if e.Msg == "" && e.Err != nil {
		return e.Field + ": " + e.Err.Error()
	}
	return e.Field + ": " + e.Msg
}

// Unwrap returns the cause.
func (e *FieldError) Unwrap() error { return e.Err }

// Faults turns an error of this package into the configuration's own, a fault
// for each FieldError in it.
func Faults(err error) (fs option.Faults) {
	var field *FieldError
	many, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
	case ok:
		for _, e := range many.Unwrap() {
			fs = append(fs, Faults(e)...)
		}
	case errors.As(err, &field):
		fs.Add(field.Field, strings.TrimPrefix(field.Error(), field.Field+": "))
	default:
		fs.Add("", err.Error())
	}
	return fs
}

// problems collects FieldErrors, so that one run names all of them.
type problems struct{ errs []error }

// addf notes that a field is wrong.
func (p *problems) addf(field, format string, args ...any) {
	p.errs = append(p.errs, &FieldError{Field: field, Msg: fmt.Sprintf(format, args...)})
}

// check notes that a field is wrong if bad is true.
func (p *problems) check(bad bool, field, format string, args ...any) {
	if bad {
		p.addf(field, format, args...)
	}
}

// faults adds what the configuration's value types found wrong.
func (p *problems) faults(err error) {
	var fs option.Faults
	if !errors.As(err, &fs) {
		p.nested("", err)
	}
	for _, f := range fs {
		p.errs = append(p.errs, &FieldError{Field: f.Path, Msg: f.Text})
	}
}

// under adds all errors of another check, their fields put below prefix.
func (p *problems) under(prefix string, other problems) {
	for _, err := range other.errs {
		p.nested(prefix, err)
	}
}

// nested adds an error, its field put below prefix, unless it is nil.
func (p *problems) nested(prefix string, err error) {
	var fe *FieldError
	if errors.As(err, &fe) {
		err = &FieldError{Field: option.Below(prefix, fe.Field), Msg: fe.Msg, Err: fe.Err}
	}
	if err != nil {
		p.errs = append(p.errs, err)
	}
}

// join returns all of them as one error, a line each, or nil.
func (p *problems) join() error { return errors.Join(p.errs...) }

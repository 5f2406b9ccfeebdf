package natsconn

import "strings"

// DialError says for each server that was tried why there is no connection.
type DialError struct {
	// Attempts are in the order in which they were made.
	Attempts []Attempt
}

// Attempt is one server's refusal.
type Attempt struct {
	// URL is the server's, or "in process".
	URL string
	// Err is why not.
	Err error
}

// Error names every server with its reason.
func (e *DialError) Error() string {
	parts := make([]string, 0, len(e.Attempts))
	for _, a := range e.Attempts {
		parts = append(parts, a.URL+": "+strings.TrimPrefix(a.Err.Error(), "nats: "))
	}
	return "nats: cannot connect to " + strings.Join(parts, "; ")
}

// Unwrap returns the reasons, so that IsAuth and errors.Is see each of them.
func (e *DialError) Unwrap() []error {
	errs := make([]error, 0, len(e.Attempts))
	for _, a := range e.Attempts {
		errs = append(errs, a.Err)
	}
	return errs
}

package control

// Code classes what went wrong, by the numbers of HTTP, as NATS services do.
type Code int

// The codes.
const (
	CodeInvalid     Code = 400 // the request is malformed
	CodeForbidden   Code = 403 // a guard refuses it
	CodeNotFound    Code = 404 // there is no such entry (ENOENT), or no such namespace
	CodeTimeout     Code = 408 // its time ran out
	CodeExists      Code = 409 // there is such an entry (EEXIST)
	CodeTooLarge    Code = 413 // the request is over its size
	CodeTooMany     Code = 422 // it would touch more than max_affected
	CodeBusy        Code = 429 // as many requests as may be are under way
	CodeCut         Code = 499 // the watcher was too slow
	CodeKernel      Code = 500 // the kernel refused: see Errno
	CodeOff         Code = 501 // the verb is not allowed on this node
	CodeUnavailable Code = 503 // the node is stopping, or does not serve
)

// Error is a refusal or a failure, as it travels.
type Error struct {
	Code    Code
	Field   string // of the request, where one is at fault
	Errno   string // ENOENT and its like, where the kernel refused
	Message string // what was wrong, and what was expected
}

// Error joins what is known.
func (e *Error) Error() string {
	text := e.Message
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	return text
}

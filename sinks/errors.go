package sinks

import "errors"

// ErrReaderGone is what Outlet.Run returns when nobody will ever read what the
// sink writes: the program at the other end of standard output has ended. It is
// no failure: the service stops, and its books tell what was not read.
var ErrReaderGone = errors.New("the reader of the output is gone")

// ErrStuck is what Outlet.Run returns when the sink did not come back in the
// time to drain. What it held is in the books as dropped.
var ErrStuck = errors.New("the sink did not come back in time")

// judge tells what is to be done about a sink's error.
func judge(err error) (class Class, e *Error) {
	if errors.As(err, &e) && int(e.Class) < len(classNames) {
		return e.Class, e
	}
	return Retry, nil
}

package spool

import (
	"os"
	"testing"
)

// lacking skips a test for want of something, or fails it where REQUIRE_ALL=1 says that nothing may be wanting.
func lacking(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

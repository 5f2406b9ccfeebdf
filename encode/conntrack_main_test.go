package encode_test

import (
	"os"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
)

// TestMain lets the tests that need the kernel run without root too.
func TestMain(m *testing.M) { os.Exit(testnet.Main(m)) }

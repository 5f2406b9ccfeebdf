package control

import (
	"os"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
)

func TestMain(m *testing.M) { os.Exit(testnet.Main(m)) }

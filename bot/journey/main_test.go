package journey_test

import (
	"os"
	"testing"

	"github.com/belaybot/belay/bot/sandbox/kube"
)

func TestMain(m *testing.M) { os.Exit(kube.Main(m)) }

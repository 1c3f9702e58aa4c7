//go:build wasip1

// Tries to reach what a guest must not, and says how that went.
//
// What is tried is the name of the key. The answer is a terminal error: refused, empty,
// or what was got hold of.
package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	handler "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/export_windlass_controller_handler"
	lister "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_lister"
	manifest "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_manifest"
	types "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_types"
	_ "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/wit_exports"
	wit_runtime "github.com/windlass-dev/windlass/sdk/go/internal/wit/runtime"
	wit "github.com/windlass-dev/windlass/sdk/go/internal/wit/types"
)

var started = time.Now()

// What was allocated, so that the compiler does not leave it out.
var kept []byte

var attempts = map[string]func() (string, error){
	"read-file":      func() (string, error) { return text(os.ReadFile("/etc/passwd")) },
	"read-relative":  func() (string, error) { return text(os.ReadFile("go.mod")) },
	"write-file":     func() (string, error) { return "written", os.WriteFile("/written", nil, 0o600) },
	"list-directory": listDirectory,
	"connect":        func() (string, error) { return opened(net.DialTimeout("tcp", "127.0.0.1:80", time.Second)) },
	"listen":         func() (string, error) { return opened(net.Listen("tcp", "127.0.0.1:0")) },
	"resolve":        func() (string, error) { return joined(net.LookupHost("localhost")) },
	"fetch":          fetch,
	"environment":    func() (string, error) { return joined(os.Environ(), nil) },
	"arguments":      func() (string, error) { return joined(os.Args[min(1, len(os.Args)):], nil) },
	"input":          func() (string, error) { return text(io.ReadAll(os.Stdin)) },
	"spawn":          func() (string, error) { return "spawned", exec.Command("true").Run() },
	"sleep":          func() (string, error) { time.Sleep(10 * time.Second); return "slept", nil },
	"exit":           func() (string, error) { os.Exit(3); return "", nil },
	"panic":          func() (string, error) { panic("on purpose") },
	"clock":          clock,
	"chance":         chance,
	"print":          print,
	"grow":           func() (string, error) { kept = make([]byte, 1<<30); return "grown", nil },
	"loop": func() (string, error) {
		for {
		}
	},
	"garbage": garbage,
}

func text(content []byte, err error) (string, error) { return string(content), err }

func joined(parts []string, err error) (string, error) { return strings.Join(parts, " "), err }

func opened[T any](_ T, err error) (string, error) { return "opened", err }

func listDirectory() (string, error) {
	entries, err := os.ReadDir("/")
	return fmt.Sprint(entries), err
}

func fetch() (string, error) {
	answer, err := http.Get("http://127.0.0.1/")
	if err != nil {
		return "", err
	}
	return answer.Status, answer.Body.Close()
}

func clock() (string, error) {
	now := time.Now()
	return fmt.Sprintf("%d.%09d %d", now.Unix(), now.Nanosecond(), time.Since(started)), nil
}

func chance() (string, error) {
	number := make([]byte, 8)
	_, err := rand.Read(number)
	return fmt.Sprintf("%x", number), err
}

func print() (string, error) {
	fmt.Println("to the output\nof two lines")
	_, err := fmt.Fprintln(os.Stderr, "to the error stream")
	return "", err
}

// Takes so much from the host, and throws it away, that collections begin, and have to end,
// at any point between two calls of the host.
func garbage() (string, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20_000 {
		bodies := wit_runtime.Receive(func() wit.Result[[][]byte, string] {
			return lister.List(0, wit.None[string](), "")
		})
		if bodies.IsErr() {
			return "", fmt.Errorf("%s", bodies.Err())
		}
		for _, body := range bodies.Ok() {
			if !strings.HasPrefix(string(body), "{") {
				return "", fmt.Errorf("a body is damaged: %q", body)
			}
		}
		kept = make([]byte, 10_000)
	}
	runtime.ReadMemStats(&after)
	return fmt.Sprintf("%t", after.NumGC-before.NumGC > 10), nil
}

type probe struct{}

func (probe) Describe() manifest.Manifest {
	return manifest.Manifest{
		Name: "probe-go", Version: "0.1.0", Workers: 1,
		Watches: []manifest.Watch{{
			Target:  manifest.MakeWatchTargetOne(types.ApiResource{Version: "v1", Plural: "configmaps"}),
			View:    manifest.MakeViewFull(),
			Enqueue: manifest.MakeEnqueueRuleItself(),
			On:      manifest.EventKindsAdded,
		}},
	}
}

func (probe) Start() wit.Result[wit.Unit, string] { return wit.Ok[wit.Unit, string](wit.Unit{}) }

func (probe) SyncHandler(_ uint64, key types.ObjectKey) handler.SyncResult {
	attempt, known := attempts[key.Name]
	if !known {
		return wit.Err[types.Outcome](types.MakeSyncErrorTerminal("there is no such attempt"))
	}
	result, err := attempt()
	answer := "empty"
	switch {
	case err != nil:
		answer = fmt.Sprintf("refused: %v", err)
	case result != "":
		answer = "got: " + result
	}
	return wit.Err[types.Outcome, types.SyncError](types.MakeSyncErrorTerminal(answer))
}

func init() { handler.Registered = probe{} }

func main() {}

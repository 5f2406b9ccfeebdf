package admin

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/ctferry/ctferry/internal/testnet"
)

// browser is a headless Chromium, and what it complained of.
type browser struct {
	ctx   context.Context
	t     *testing.T
	begun bool // it runs
	mu    sync.Mutex
	said  []string // errors and exceptions of pages
	urls  []string // that were asked for
}

// newBrowser starts one, or skips where there is none.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		testnet.Unavailable(t, "no chromium here: the page is not looked at in a browser")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(90*time.Second))
	allocator, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &browser{ctx: ctx, t: t}
	b.run(func(context.Context, *chromedp.Target) (chromedp.Void, error) { return chromedp.Void{}, nil }) // it starts
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	return b
}

// hear notes what a page asks for, and what goes wrong in it.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.urls = append(b.urls, e.Request.URL)
	case *runtime.EventExceptionThrown:
		b.said = append(b.said, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		b.said = append(b.said, e.Entry.Text)
	}
}

func (b *browser) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, a := range actions {
		act(b, a)
	}
}

// act does one thing, within a bound, and gives what it answers.
func act[T any](b *browser, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	if !b.begun { // whose end would be the browser's
		ctx, b.begun = b.ctx, true
	}
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// call makes an action of a command of the protocol.
func call[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, c, params)
		return chromedp.Void{}, err
	}
}

// look shows a page as on a screen of that width, in a scheme: light or dark.
func (b *browser) look(url string, width int64, scheme string) {
	b.t.Helper()
	b.run(call(network.Enable, network.EnableParams{}), call(log.Enable, cdp.Empty{}))
	b.shape(width, scheme)
	b.run(chromedp.Navigate(url))
}

// shape makes the screen another, without loading the page again.
func (b *browser) shape(width int64, scheme string) {
	b.t.Helper()
	b.run(
		call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1}),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}),
	)
}

// eval gives a value of the page.
func eval[T any](b *browser, script string) (v T) {
	b.t.Helper()
	return act(b, chromedp.Evaluate[T](script))
}

// waits until a script is true.
func (b *browser) waits(what, script string) {
	b.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !eval[bool](b, script); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("waited in vain for %s; the page is\n%s", what, eval[string](b, "document.body.innerText"))
		}
	}
}

// text is what a person reads.
func (b *browser) text() string { return eval[string](b, "document.body.innerText") }

// shot keeps a picture of the whole page, where -shots says.
func (b *browser) shot(name string) {
	b.t.Helper()
	if *shots == "" {
		return
	}
	png := act(b, chromedp.FullScreenshot(100))
	if err := os.WriteFile(*shots+"/"+name+".png", png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// clean fails if a page complained, or asked anybody but its own server.
func (b *browser) clean(base string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.said {
		b.t.Errorf("the page complains: %s", text)
	}
	for _, url := range b.urls {
		if !strings.HasPrefix(url, base+"/") && !strings.HasPrefix(url, "data:image/svg+xml,") {
			b.t.Errorf("the page asks %s", url)
		}
	}
}

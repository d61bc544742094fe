package report

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
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
)

// browser is a page in a browser that no network request, message or exception
// may come from.
type browser struct {
	t   *testing.T
	ctx context.Context
	url string

	mu   sync.Mutex
	odd  []string // what must not happen
	sent int      // requests for the page itself
}

// open shows d in a browser, or skips the test if there is none.
func open(t *testing.T, d *Document) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: a browser takes a few seconds")
	}
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			program = p
			break
		}
	}
	if program == "" {
		t.Skip("no chromium, chromium-browser or google-chrome in PATH: the page is not tried in a browser")
	}
	var out bytes.Buffer
	if err := HTML(&out, d); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, profile := filepath.Join(dir, "report.html"), filepath.Join(dir, "profile")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, url: (&url.URL{Scheme: "file", Path: file}).String()}

	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.UserDataDir(profile),
		chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("hide-scrollbars", true),
	)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	t.Cleanup(func() {
		// Processes of a browser that has ended write on for a moment.
		for range 100 {
			if os.RemoveAll(profile) == nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	b.ctx, cancel = chromedp.NewContext(ctx, chromedp.WithListener(b.hear))
	t.Cleanup(cancel)
	t.Cleanup(b.quiet)
	if _, err := chromedp.Call(b.ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	b.see("light", 1280, 900)
	b.load()
	return b
}

// hear notes what must not happen.
func (b *browser) hear(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		if ev.Request.URL == b.url {
			b.sent++
		} else if !strings.HasPrefix(ev.Request.URL, "data:") {
			b.odd = append(b.odd, "request of "+ev.Request.URL)
		}
	case *runtime.EventExceptionThrown:
		b.odd = append(b.odd, "exception "+(&chromedp.ExceptionError{ExceptionDetails: ev.ExceptionDetails}).Error())
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.ConsoleAPICalledTypeError || ev.Type == runtime.ConsoleAPICalledTypeWarning {
			b.odd = append(b.odd, fmt.Sprintf("console %s", ev.Type))
		}
	case *log.EventEntryAdded: // breaches of the policy are among these
		if ev.Entry.Level == log.EntryLevelError || ev.Entry.Level == log.EntryLevelWarning {
			b.odd = append(b.odd, fmt.Sprintf("%s of %s: %s", ev.Entry.Level, ev.Entry.Source, ev.Entry.Text))
		}
	}
}

// quiet fails the test if something happened that must not.
func (b *browser) quiet() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range b.odd {
		b.t.Error(o)
	}
	if b.sent == 0 {
		b.t.Error("the browser reported no request, not even that of the page: other requests would not be seen")
	}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// see sets the colour scheme, and the size of the window.
func (b *browser) see(scheme string, width, height int64) {
	b.t.Helper()
	b.do(
		chromedp.EmulateViewport(width, height),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return err
		}),
	)
}

func (b *browser) load() {
	b.t.Helper()
	b.do(chromedp.Navigate(b.url))
}

// eval returns the value of a JavaScript expression.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func (b *browser) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

var schemes = []string{"light", "dark"}

func TestPageFitsTheWindow(t *testing.T) {
	b := open(t, sample())
	for _, scheme := range schemes {
		for _, width := range []int64{360, 768, 1280} {
			b.see(scheme, width, 800)
			b.load()
			if got := eval[int64](b, `document.documentElement.scrollWidth`); got > width {
				t.Errorf("%s: the page is %d wide in a window of %d", scheme, got, width)
			}
			const beyond = `[...document.querySelectorAll("main *")].filter(e => !e.closest(".scroll, .cells, .tip")
				&& e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.tagName + "." + e.className).join(" ")`
			if got := eval[string](b, beyond); got != "" {
				t.Errorf("%s, %d: beyond the edge are %s", scheme, width, got)
			}
		}
	}
}

func TestMapLeadsDownAndUp(t *testing.T) {
	b := open(t, sample())
	const path = `[...document.querySelectorAll(".crumbs li")].map(e => e.textContent).join(" > ")`
	const names = `[...document.querySelectorAll("button.cell")].map(e => e.getAttribute("aria-label")).join("; ")`
	check := func(after, wantPath, wantNames string) {
		t.Helper()
		if got := eval[string](b, path); got != wantPath {
			t.Errorf("%s: at %q, want %q", after, got, wantPath)
		}
		if got := eval[string](b, names); got != wantNames {
			t.Errorf("%s: the cells are %q, want %q", after, got, wantNames)
		}
	}
	for _, scheme := range schemes {
		b.see(scheme, 1280, 900)
		b.load()
		const top = "home, 7.0 GiB, opens; <script>alert(1)</script>, 2.0 GiB; files here and below, 1.0 GiB"
		const home = `alice, 5.0 GiB; "bob\xff\n", 1.0 GiB; files here and below, 1.0 GiB`
		check("loaded", "/data", top)
		b.click(`.cell[aria-label^="home"]`)
		check("a click on home", "/data > home", home)
		b.click(`.cell[aria-label*="bob"]`)
		check("a click on what has nothing below", "/data > home", home)
		if got, want := eval[string](b, `document.querySelector(".detail code").textContent`), `"/data/home/bob\xff\n"`; got != want {
			t.Errorf("the path of bob is %s, want %s", got, want)
		}
		b.click(`.crumbs button`)
		check("up", "/data", top)

		b.click(`[data-measure=files]`)
		check("by files", "/data", "home, 700 files, opens; <script>alert(1)</script>, 200 files; files here and below, 100 files")
		b.click(`[data-measure=allocated]`)
		check("by what is allocated", "/data", "home, 6.0 GiB, opens; <script>alert(1)</script>, 2.0 GiB; files here and below, 1.0 GiB")
		b.click(`[data-measure=bytes]`)

		b.do(chromedp.Focus(chromedp.CSS(`.cell[tabindex="0"]`)), chromedp.KeyEvent("\r"))
		check("Enter", "/data > home", home)
		if got := eval[string](b, `document.activeElement.getAttribute("aria-label")`); got != "alice, 5.0 GiB" {
			t.Errorf("after Enter the focus is at %q", got)
		}
		b.do(chromedp.KeyEvent("\u001b"))
		check("Escape", "/data", top)
		if got := eval[string](b, `document.activeElement.getAttribute("aria-label")`); !strings.HasPrefix(got, "home") {
			t.Errorf("after Escape the focus is at %q, want where it came from", got)
		}
	}
}

func TestMapDrawsWhatIsLeftOut(t *testing.T) {
	b := open(t, &Document{Tree: bigTree(7000)})
	if got := eval[int](b, `document.querySelectorAll(".cell").length`); got < 100 {
		t.Errorf("%d cells, want hundreds", got)
	}
	if got := eval[string](b, `document.querySelector(".map figcaption").textContent`); !strings.Contains(got, "the 5,000 largest of 7,001 directories") {
		t.Errorf("the caption is %q", got)
	}
	if got := eval[int](b, `document.querySelectorAll(".cell.rest").length`); got == 0 {
		t.Error("what is not drawn has no cell")
	}
}

func TestThemeCanBeSwitched(t *testing.T) {
	b := open(t, sample())
	const colours = `["body", ".card", "h1", ".cell"].map(s => { const c = getComputedStyle(document.querySelector(s)); return c.backgroundColor + c.color }).join(";")`
	seen := map[string]string{}
	for _, scheme := range schemes {
		b.see(scheme, 1280, 900)
		b.load()
		before := eval[string](b, colours)
		b.click(".theme")
		after := eval[string](b, colours)
		if before == after {
			t.Errorf("%s: the button changes nothing", scheme)
		}
		seen[scheme] = before
		if scheme == "dark" && (after != seen["light"] || before == after) {
			t.Errorf("switched to light, the colours are %s, want %s", after, seen["light"])
		}
		b.click(".theme")
		if got := eval[string](b, colours); got != before {
			t.Errorf("%s: switched twice, the colours are %s, want %s", scheme, got, before)
		}
	}
}

//go:embed testdata/contrast.js
var contrast string

func TestTextIsReadable(t *testing.T) {
	d := sample()
	// A cell of each colour.
	for i, age := range []int{1, 100, 300, 800, 5000} {
		d.Tree.Children = append(d.Tree.Children, &Node{
			Name: Path(fmt.Sprint("age ", i)), Files: 1, Bytes: 1 << 30, Newest: d.Made.AddDate(0, 0, -age),
		})
	}
	b := open(t, d)
	for _, scheme := range schemes {
		b.see(scheme, 1280, 900)
		b.load()
		for _, colour := range []string{"name", "age"} {
			b.click("[data-colour=" + colour + "]")
			for _, low := range eval[[]string](b, contrast) {
				t.Errorf("%s, cells by %s: %s", scheme, colour, low)
			}
		}
	}
}

func TestTablesCanBeSortedAndFiltered(t *testing.T) {
	b := open(t, sample())
	column := func(table string, n int) string {
		return fmt.Sprintf(`[...document.querySelectorAll("table[data-key=%s] tbody tr")].filter(r => r.checkVisibility())
			.map(r => r.cells[%d].textContent).join("|")`, table, n)
	}
	check := func(after, expression, want string) {
		t.Helper()
		if got := eval[string](b, expression); got != want {
			t.Errorf("%s: got %q, want %q", after, got, want)
		}
	}
	for _, scheme := range schemes {
		b.see(scheme, 1280, 900)
		b.load()
		const original = "0 B|19.0 MiB|93.0 MiB|5.0 GiB|9.0 TiB"
		sizes, head := column("file_sizes", 3), `table[data-key=file_sizes] th[data-key=bytes]`
		sort := fmt.Sprintf(`document.querySelector(%q).ariaSort`, head)
		check("loaded", sizes, original)
		b.click(head + " button")
		check("one click", sizes, "9.0 TiB|5.0 GiB|93.0 MiB|19.0 MiB|0 B")
		check("one click", sort, "descending")
		b.click(head + " button")
		check("two clicks", sizes, original)
		check("two clicks", sort, "ascending")
		b.click(`table[data-key=file_sizes] th[data-key=size] button`)
		check("a click on text", column("file_sizes", 0), "<= 1 GiB|<= 1 KiB|<= 1 MiB|empty|over 1 TiB")
		check("a click on text", sort, "none")
		b.click(`table[data-key=use_by_uid] th[data-key=name] button`)
		check("what is empty comes last", column("use_by_uid", 0), "1000|0|4294967294|18446744073709551615")

		paths := column("top_files", 1)
		rows := fmt.Sprintf(`String((%s).split("|").length)`, paths)
		check("loaded", rows, "20")
		b.click("#t-top_files .more button")
		check("all", rows, "100")
		b.do(chromedp.SendKeys(chromedp.CSS("#t-top_files input"), "FILE 7."))
		check("filtered", paths, "/data/home/alice/some directory/file 7.dat")
		check("filtered", `document.querySelector("#t-top_files .found").textContent`, "1 of 100 row")
		b.do(chromedp.Focus(chromedp.CSS("#t-top_files input")), chromedp.KeyEvent("\b\b\b\b\b\b\b"))
		check("cleared", rows, "100")
	}
}

func TestPageIsReadWithoutScript(t *testing.T) {
	b := open(t, sample())
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	b.load()
	var text string
	text, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS("main")))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"needs script", "126,670", "file 99.dat", "the first 100 of 306 rows"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q can not be read", want)
		}
	}
	for _, not := range []string{"Filter", "Show", "Newest file"} {
		if strings.Contains(text, not) {
			t.Errorf("%q is shown, and does nothing", not)
		}
	}
}

// Not a test of its own: HYDRA_SCREENSHOTS names a directory for pictures.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("HYDRA_SCREENSHOTS")
	if dir == "" {
		t.Skip("HYDRA_SCREENSHOTS does not name a directory")
	}
	b := open(t, sample())
	for _, scheme := range schemes {
		for name, width := range map[string]int64{"desktop": 1280, "phone": 390} {
			b.see(scheme, width, 900)
			b.load()
			picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name+"-"+scheme+".png"), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

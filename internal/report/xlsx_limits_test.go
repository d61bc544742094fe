package report

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// million is a table of so many rows of 6 columns.
func million(rows int) *Document {
	at := time.Date(2026, 11, 25, 16, 0, 0, 0, time.UTC)
	row := make([]any, 6)
	return &Document{Title: "Million", Tables: []Table{{
		Name: "Files", Key: "files",
		Columns: []Column{
			{Title: "Path", Key: "path", Width: 60}, {Title: "Size", Key: "bytes", Number: true}, {Title: "Files", Key: "files", Number: true},
			{Title: "Share", Key: "share", Number: true}, {Title: "Modified", Key: "mtime", Width: 20}, {Title: "Owner", Key: "owner"},
		},
		Rows: func(yield func([]any) bool) {
			for i := range rows {
				row[0] = Path(fmt.Sprintf("/data/home/alice/projects/simulation/run %07d/output.dat", i))
				row[1], row[2], row[3] = Bytes(i*1000003), int64(i), Share(float64(i)/float64(rows))
				row[4], row[5] = at.Add(time.Duration(i)*time.Second), "alice"
				if !yield(row) {
					return
				}
			}
		},
	}}}
}

func TestMillionRowsNeedLittleMemory(t *testing.T) {
	const child, limit = "HYDRA_TEST_EXCEL_CHILD", 200 << 20
	if os.Getenv(child) != "" {
		if err := Excel(io.Discard, million(1_000_000)); err != nil {
			t.Fatal(err)
		}
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%s\n", status)
		return
	}
	if testing.Short() {
		t.Skip("a million rows take a while")
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("no /proc to read the memory from")
	}
	// In a process of its own: the peak of this one may be another test's.
	cmd := exec.Command(os.Args[0], "-test.run=^TestMillionRowsNeedLittleMemory$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	peak := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(out)
	if peak == nil {
		t.Skip("the kernel does not tell the peak of the memory")
	}
	kilobytes, err := strconv.ParseInt(string(peak[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("peak %d MiB", kilobytes>>10)
	if kilobytes<<10 > limit {
		t.Errorf("the process took %d MiB, want at most %d", kilobytes>>10, limit>>20)
	}
}

func TestLibreOfficeReadsTheWorkbook(t *testing.T) {
	if os.Getenv("HYDRA_TEST_ALL") == "" {
		t.Skip("set HYDRA_TEST_ALL to start LibreOffice")
	}
	office, err := exec.LookPath("soffice")
	if err != nil {
		t.Skip("LibreOffice is not installed")
	}
	dir := t.TempDir()
	d := sample()
	d.Tables = append(d.Tables, one("a_x0041_x0042_b _x000D_", "=1+1", Share(0.25), int64(1<<40)).Tables...)
	file, err := os.Create(filepath.Join(dir, "book.xlsx"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := Excel(file, d); err != nil {
		t.Fatal(err)
	}
	// A file for each sheet: comma, quote, UTF-8, from row 1, as shown.
	cmd := exec.Command(office, "-env:UserInstallation=file://"+filepath.Join(dir, "profile"), "--headless",
		"--convert-to", `csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,true,false,false,-1`, "--outdir", dir, file.Name())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for sheet, wants := range map[string][]string{
		"Summary":    {"2 directories could not be read", "Started,2026-11-25 16:00:00,UTC\n", `Size,"5,476,083,302",`, "Full,12.5%,\n"},
		"File sizes": {"empty,867,1.0%,0,0.0%\n", `over 1 TiB,3,10.0%,"9,895,604,649,984",10.0%`},
		"One":        {"a_x0041_x0042_b _x000D_\n", "\n=1+1\n", "\n25.0%\n", "\n\"1,099,511,627,776\"\n"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, "book-"+sheet+".csv"))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, want := range wants {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s: no %q in\n%s", sheet, want, text)
			}
		}
	}
}

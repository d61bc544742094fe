package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// copyTo copies the sources of the repository.
func copyTo(t *testing.T, repository, to string) {
	t.Helper()
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(repository, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "bin", "dist", "bench"}, name) || d.Name() == "testdata" {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		}
		if !d.Type().IsRegular() || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// read reads all files of a directory.
func read(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = data
	}
	return files
}

// TestTwoReleasesAreTheSameBytes builds in two directories. With HYDRA_TEST_ALL=1 nothing
// that was compiled for one is used for the other.
func TestTwoReleasesAreTheSameBytes(t *testing.T) {
	here := filepath.Join("..", "..")
	elsewhere := filepath.Join(t.TempDir(), "some", "where else")
	copyTo(t, here, elsewhere)
	platforms := []string{"linux/amd64"}
	var all []map[string][]byte
	for _, repository := range []string{here, elsewhere} {
		if os.Getenv("HYDRA_TEST_ALL") != "" {
			t.Setenv("GOCACHE", t.TempDir())
		}
		to := t.TempDir()
		if err := release(repository, to, "false", platforms); err != nil {
			t.Fatal(err)
		}
		all = append(all, read(t, to))
	}
	if len(all[0]) != 3 || len(all[0]) != len(all[1]) {
		t.Errorf("there are %d and %d files", len(all[0]), len(all[1]))
	}
	for name, data := range all[0] {
		if !bytes.Equal(data, all[1][name]) {
			t.Errorf("%s is not the same, built elsewhere", name)
		}
	}
	checkBill(t, all[0]["hydra-linux-amd64"], all[0]["hydra-linux-amd64.cdx.json"])
	for name, data := range all[0] {
		if line := fmt.Sprintf("%x  %s\n", sha256.Sum256(data), name); name != sums && !strings.Contains(string(all[0][sums]), line) {
			t.Errorf("%s does not say %q", sums, line)
		}
	}
}

// checkBill checks that all of a binary is in its bill of materials, with a licence.
func checkBill(t *testing.T, binary, bill []byte) {
	t.Helper()
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(bill), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		t.Fatal(err)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(binary)); bom.SpecVersion != cdx.SpecVersion1_6 || (*bom.Metadata.Component.Hashes)[0].Value != sum {
		t.Errorf("it is of version %v, about %+v", bom.SpecVersion, bom.Metadata.Component)
	}
	want := []string{"pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go"), "pkg:npm/d3-hierarchy@3.1.3"}
	for _, m := range info.Deps {
		want = append(want, "pkg:golang/"+m.Path+"@"+m.Version)
	}
	var got []string
	for _, c := range *bom.Components {
		got = append(got, c.PackageURL)
		if c.Licenses == nil || (*c.Licenses)[0].Expression == "" {
			t.Errorf("%s has no licence", c.PackageURL)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || len(want) < 20 {
		t.Errorf("it lists %q, want %q", got, want)
	}
}

func TestNothingButAReleaseIsRemoved(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"hydra-linux-amd64", "thesis.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := empty(dir); err == nil || !strings.Contains(err.Error(), "thesis.txt") {
		t.Errorf("the error is %v", err)
	}
	if files := read(t, dir); len(files) != 2 {
		t.Errorf("left are %d files", len(files))
	}
	if err := os.Remove(filepath.Join(dir, "thesis.txt")); err != nil {
		t.Fatal(err)
	}
	if err := empty(dir); err != nil || len(read(t, dir)) != 0 {
		t.Errorf("an earlier release is not removed: %v", err)
	}
}

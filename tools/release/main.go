// Command release builds the program as it is released, for each platform: a static binary,
// a bill of materials beside it, and the checksums of all.
//
//	release -C REPOSITORY -o DIRECTORY PLATFORM...
//
// Who builds the same commit with the same version of Go gets the same bytes.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// sums is the name of the file with the checksums, as sha256sum reads it.
const sums = "SHA256SUMS"

func main() {
	log.SetFlags(0)
	log.SetPrefix("release: ")
	repository := flag.String("C", ".", "the repository")
	to := flag.String("o", "dist", "the directory to write into; it is emptied before")
	flag.Parse()
	if flag.NArg() == 0 {
		log.Fatal("name the platforms to build for, as linux/amd64")
	}
	if err := release(*repository, *to, "auto", flag.Args()); err != nil {
		log.Fatal(err)
	}
}

// release fills a directory with what is released. vcs says whether binaries name the
// commit: auto or false, see `go help build`.
func release(repository, to, vcs string, platforms []string) error {
	to, err := filepath.Abs(to)
	if err != nil {
		return err
	}
	if err := empty(to); err != nil {
		return err
	}
	licences, err := readLicences(filepath.Join(repository, "THIRD_PARTY_LICENSES"))
	if err != nil {
		return err
	}
	for _, platform := range platforms {
		name, err := build(repository, to, vcs, platform)
		if err != nil {
			return fmt.Errorf("%s: %w", platform, err)
		}
		if err := writeBill(filepath.Join(to, name), repository, licences); err != nil {
			return fmt.Errorf("%s: the bill of materials: %w", platform, err)
		}
	}
	return writeSums(to)
}

// empty makes a directory, or removes what an earlier release left there, and nothing else.
func empty(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "hydra-") && e.Name() != sums {
			return fmt.Errorf("%s is not of a release: remove it, or name another directory", filepath.Join(dir, e.Name()))
		}
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// build builds the program for a platform, and returns the name of its file.
func build(repository, to, vcs, platform string) (string, error) {
	system, processor, ok := strings.Cut(platform, "/")
	if !ok {
		return "", errors.New("a platform is SYSTEM/PROCESSOR")
	}
	name := "hydra-" + system + "-" + processor
	if system == "windows" {
		name += ".exe"
	}
	fmt.Println(name)
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs="+vcs, "-o", filepath.Join(to, name), "./cmd/hydra")
	cmd.Dir = repository
	// Nothing of who builds changes what is built.
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+processor, "CGO_ENABLED=0",
		"GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=", "GOAMD64=", "GOARM64=", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", err
	}
	info, err := buildinfo.ReadFile(filepath.Join(to, name))
	if err != nil {
		return "", err
	}
	if strings.Contains(info.Main.Version, "dirty") {
		fmt.Printf("%s: there are changes that are not committed: nobody else can build this\n", name)
	}
	return name, nil
}

// writeSums writes the checksums of all that is in a directory.
func writeSums(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var lines []string
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("%x  %s\n", sha256.Sum256(data), e.Name()))
	}
	slices.Sort(lines)
	return os.WriteFile(filepath.Join(dir, sums), []byte(strings.Join(lines, "")), 0o644)
}

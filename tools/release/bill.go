package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// writeBill writes what a binary consists of beside it, in the format CycloneDX: the modules
// that its build information names, the standard library, and what is copied into the
// repository. It holds no time but that of the commit, so that it can be made again.
func writeBill(binary, repository string, licences map[string]string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	bom := cdx.NewBOM()
	// The name of the document is one of what it is about.
	id := sha256.Sum256(sum[:])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	bom.SerialNumber = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:16])
	main := cdx.Component{
		BOMRef: purl(info.Main.Path, info.Main.Version), Type: cdx.ComponentTypeApplication,
		Name: filepath.Base(binary), Version: info.Main.Version, PackageURL: purl(info.Main.Path, info.Main.Version),
		Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
	}
	bom.Metadata = &cdx.Metadata{Component: &main}
	var properties []cdx.Property
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			bom.Metadata.Timestamp = s.Value
		}
		properties = append(properties, cdx.Property{Name: "go:build:" + s.Key, Value: s.Value})
	}
	bom.Metadata.Properties = &properties

	var all []cdx.Component
	add := func(c cdx.Component, path string) error {
		licence := licences[path]
		if licence == "" {
			return fmt.Errorf("THIRD_PARTY_LICENSES does not know %s: `make licenses` writes it anew", path)
		}
		c.BOMRef, c.Type = c.PackageURL, cdx.ComponentTypeLibrary
		c.Licenses = &cdx.Licenses{{Expression: strings.ReplaceAll(licence, " and ", " AND ")}}
		all = append(all, c)
		return nil
	}
	version := strings.TrimPrefix(info.GoVersion, "go")
	err = add(cdx.Component{Name: "std", Version: version, PackageURL: "pkg:golang/std@" + version}, "std")
	for _, m := range info.Deps {
		if err == nil {
			err = add(component(m), m.Path)
		}
	}
	if err == nil {
		var c cdx.Component
		if c, err = copied(repository); err == nil {
			err = add(c, c.Name)
		}
	}
	if err != nil {
		return err
	}
	bom.Components = &all
	refs := make([]string, len(all))
	for i := range all {
		refs[i] = all[i].BOMRef
	}
	bom.Dependencies = &[]cdx.Dependency{{Ref: main.BOMRef, Dependencies: &refs}}
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return err
	}
	return os.WriteFile(strings.TrimSuffix(binary, ".exe")+".cdx.json", out.Bytes(), 0o644)
}

// component is a module. What replaces it is what was built.
func component(m *debug.Module) cdx.Component {
	path := m.Path
	if m.Replace != nil {
		m = m.Replace
	}
	c := cdx.Component{Name: path, Version: m.Version, PackageURL: purl(m.Path, m.Version)}
	// The checksum of go.sum, of all files of the module: h1 is SHA-256.
	if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil && len(sum) == sha256.Size {
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: m.Sum}}
	}
	return c
}

func purl(path, version string) string { return "pkg:golang/" + path + "@" + version }

var versionInReadme = regexp.MustCompile(`^# d3-hierarchy ([0-9.]+)\n`)

// copied is what the page of reports is built with.
func copied(repository string) (cdx.Component, error) {
	file := filepath.Join(repository, "internal", "report", "page", "d3-hierarchy", "README.md")
	text, err := os.ReadFile(file)
	if err != nil {
		return cdx.Component{}, err
	}
	m := versionInReadme.FindSubmatch(text)
	if m == nil {
		return cdx.Component{}, fmt.Errorf("%s does not begin with a version", file)
	}
	return cdx.Component{Name: "d3-hierarchy", Version: string(m[1]), PackageURL: "pkg:npm/d3-hierarchy@" + string(m[1])}, nil
}

// readLicences reads the kinds of licences by module, as script/licenses writes them.
func readLicences(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	// A section is: line, path, kind of licence, line, texts.
	parts := strings.Split(string(text), strings.Repeat("=", 79)+"\n")
	kinds := map[string]string{}
	for i := 1; i+1 < len(parts); i += 2 {
		path, kind, ok := strings.Cut(strings.TrimSuffix(parts[i], "\n"), "\n")
		if !ok || kind == "" {
			return nil, fmt.Errorf("%s: %q has no kind of licence", file, path)
		}
		kinds[path] = kind
	}
	return kinds, nil
}

package report

import (
	"archive/zip"
	"cmp"
	"io"
	"os"
	"slices"
	"sort"

	"github.com/xuri/excelize/v2"
)

// writeParts writes the parts of a workbook as a zip file. The library writes
// the sheets in any order; so all goes to a temporary file first, and from there
// in the same order each time to w.
func writeParts(w io.Writer, file *excelize.File) error {
	// The same for the kinds of images, of which it names all as soon as there is
	// a chart.
	kinds := file.ContentTypes.Defaults
	sort.Slice(kinds, func(i, j int) bool { return kinds[i].Extension < kinds[j].Extension })
	tmp, err := os.CreateTemp("", "excelize-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	// The buffer that this returns stays empty: the zip writer is ours.
	unsorted := zip.NewWriter(tmp)
	file.SetZipWriter(func(io.Writer) excelize.ZipWriter { return unsorted })
	if _, err := file.WriteToBuffer(); err != nil {
		return err
	}
	size, err := tmp.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	return sortParts(w, tmp, size)
}

// sortParts copies a zip file, with its files in the order of their names.
func sortParts(w io.Writer, from io.ReaderAt, size int64) error {
	parts, err := zip.NewReader(from, size)
	if err != nil {
		return err
	}
	// The first is [Content_Types].xml, by which some programs know a workbook.
	slices.SortFunc(parts.File, func(a, b *zip.File) int { return cmp.Compare(a.Name, b.Name) })
	out := zip.NewWriter(w)
	for _, part := range parts.File {
		// Without the extra fields, which are written anew. The version is kept: for
		// a sheet over 4 GB Excel wants to see that of zip64 here too.
		header := zip.FileHeader{
			Name: part.Name, Method: part.Method, Flags: part.Flags, ReaderVersion: part.ReaderVersion, CRC32: part.CRC32,
			CompressedSize64: part.CompressedSize64, UncompressedSize64: part.UncompressedSize64,
		}
		//lint:ignore SA1019 A raw header has no other date, and zero is none in a zip file.
		header.ModifiedDate = 1<<5 | 1 // 1980-01-01, as in Excel's own files
		in, err := part.OpenRaw()
		if err != nil {
			return err
		}
		to, err := out.CreateRaw(&header)
		if err != nil {
			return err
		}
		if _, err := io.Copy(to, in); err != nil {
			return err
		}
	}
	return out.Close()
}

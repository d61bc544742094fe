// Command scaleplot draws how many workers of a simulated cluster are busy, from
// the CSV that make scale writes.
//
//	go run ./script/scaleplot < scale.csv > docs/pictures/scale.svg
package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
)

// run is one simulated job.
type run struct {
	clients, workers, dirs int
	efficiency             float64
	at                     []float64 // seconds
	busy                   []float64 // workers
}

const (
	width, height            = 720, 320
	left, right, top, bottom = 56, 16, 16, 72
)

var colors = []string{"#8da0cb", "#66c2a5", "#fc8d62", "#b3478c"}

func main() {
	log.SetFlags(0)
	runs, err := read(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.WriteString(os.Stdout, draw(runs)); err != nil {
		log.Fatal(err)
	}
}

// read reads lines of dirs, clients, workers, efficiency, seconds, busy.
func read(r io.Reader) ([]*run, error) {
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, err
	}
	var runs []*run
	for i, row := range rows {
		if i == 0 {
			continue
		}
		n := make([]float64, len(row))
		for c, text := range row {
			if n[c], err = strconv.ParseFloat(text, 64); err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
		}
		if len(runs) == 0 || runs[len(runs)-1].clients != int(n[1]) {
			runs = append(runs, &run{dirs: int(n[0]), clients: int(n[1]), workers: int(n[2]), efficiency: n[3]})
		}
		last := runs[len(runs)-1]
		last.at, last.busy = append(last.at, n[4]), append(last.busy, n[5])
	}
	return runs, nil
}

func draw(runs []*run) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#666">`+"\n", width, height)
	x := func(share float64) float64 { return left + share*(width-left-right) }
	y := func(share float64) float64 { return top + (1-share)*(height-top-bottom) }
	for _, percent := range []int{0, 25, 50, 75, 100} {
		at := y(float64(percent) / 100)
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ccc"/><text x="%d" y="%.1f" text-anchor="end">%d %%</text>`+"\n", left, at, width-right, left-8, at+4, percent)
	}
	for _, percent := range []int{0, 50, 100} {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%d %%</text>`+"\n", x(float64(percent)/100), height-bottom+18, percent)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">workers that are busy, over the time that the job takes</text>`+"\n", (left+width-right)/2, height-bottom+36)
	for i, r := range runs {
		color := colors[i%len(colors)]
		all, end := float64(r.clients*r.workers), r.at[len(r.at)-1]
		var path strings.Builder
		for k := range r.at {
			fmt.Fprintf(&path, "%.1f,%.1f ", x(r.at[k]/end), y(r.busy[k]/all))
		}
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/>`+"\n", color, strings.TrimSpace(path.String()))
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="%s">%d × %d: %.1f %%</text>`+"\n", left+i*(width-left-right)/len(runs), height-12, color, r.clients, r.workers, 100*r.efficiency)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

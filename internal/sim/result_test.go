package sim

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

// result is what stands in the table of a job.
type result struct {
	Verdict ledger.Verdict
	Counts  counts
	Totals  walk.Totals // nothing of workers
	Lines   counts      // the errors in the list of errors

	ledger *ledger.Job
	state  *ledger.State
}

func read(ctx context.Context, b bus.Bus, job string) (*result, error) {
	table, err := b.Open(ctx, wire.Table(job))
	if err != nil {
		return nil, err
	}
	v, err := table.Get(ctx, wire.KeyState)
	if err != nil {
		return nil, err
	}
	r := &result{state: new(ledger.State)}
	if err := ledger.Decode(v.Data, r.state); err != nil {
		return nil, err
	}
	values, err := table.List(ctx, wire.PrefixRec)
	if err != nil {
		return nil, err
	}
	var records []*ledger.Record
	for _, v := range values {
		rec := new(ledger.Record)
		if err := ledger.Decode(v.Data, rec); err != nil {
			return nil, fmt.Errorf("%s: %w", v.Key, err)
		}
		records = append(records, rec)
	}
	r.ledger = ledger.NewJob(r.state, records)
	r.Verdict = r.ledger.Verdict
	for _, rec := range records {
		r.Totals.Add(&rec.Totals)
		parts := [][]byte{rec.Data}
		for _, key := range rec.DataKeys {
			v, err := table.Get(ctx, key)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			parts = append(parts, v.Data)
		}
		for _, data := range parts {
			if len(data) == 0 {
				continue
			}
			var c counts
			if err := binary.Read(bytes.NewReader(data), binary.LittleEndian, &c); err != nil {
				return nil, fmt.Errorf("what %s counted: %w", rec.Session, err)
			}
			r.Counts.add(&c)
		}
		for _, part := range rec.Errors {
			v, err := table.Get(ctx, wire.KeyErrors(rec.Session, part))
			if err != nil {
				return nil, fmt.Errorf("errors of %s: %w", rec.Session, err)
			}
			for l := v.Data; len(l) >= 8; l = l[8:] {
				r.Lines.fail(binary.LittleEndian.Uint64(l))
			}
		}
	}
	r.Totals.Workers, r.Totals.Stopped, r.Totals.FirstError = 0, false, nil
	return r, nil
}

// compare says in what a complete job differs from what it should have counted.
func (r *result) compare(x *expected) error {
	want := result{Verdict: ledger.Verdict{State: "complete"}, Counts: x.counts, Totals: x.totals}
	want.Lines.Errors, want.Lines.ErrorSum = x.counts.Errors, x.counts.ErrorSum
	got := result{Verdict: r.Verdict, Counts: r.Counts, Totals: r.Totals, Lines: r.Lines}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{}), cmp.FilterPath(func(p cmp.Path) bool {
		return p.Last().String() == ".ledger" || p.Last().String() == ".state"
	}, cmp.Ignore())); diff != "" {
		return fmt.Errorf("the result is wrong (-want +got):\n%s", diff)
	}
	return r.consistent()
}

// consistent says what contradicts itself, whether the job is done or not.
func (r *result) consistent() error {
	if why := r.ledger.Broken(); why != "" {
		return fmt.Errorf("the records contradict each other: %s", why)
	}
	if slices.ContainsFunc(r.state.Outs, func(b ledger.Bag) bool { return b.Roots }) {
		return nil // nobody has begun
	}
	dirs, _ := r.ledger.Remains(0)
	found := r.Totals.FoundDirs
	if known := r.Totals.ExpectedDirs(); found-dirs != known {
		return fmt.Errorf("%d directories were found and %d remain, but of %d it is known what became of them%s", found, dirs, known, r.remains())
	}
	return nil
}

// remains says what remains.
func (r *result) remains() string {
	text := ""
	for _, rec := range r.ledger.Records() {
		text += fmt.Sprintf("\n%s end %d in %d %+v", rec.Session, rec.End, rec.In, rec.Totals)
		for _, b := range append(rec.Outs, ledger.Bag{Items: rec.Held}) {
			for i, it := range b.Items {
				text += fmt.Sprintf("\n  %d.%d %q part %+v", b.K, i, it.Path, it.Part)
			}
		}
	}
	return text
}

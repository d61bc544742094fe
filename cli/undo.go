package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra"
	"github.com/spf13/cobra"
)

// jobActs prints what a job changed.
func (p *program) jobActs() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "acts [flags] ID",
		Short: "Print what a job changed, as lines of JSON",
		Long: `Print what a job changed, and what it was about to change, as lines of JSON. An act
has a line with the state "intent", written before it was done, and then one that says
what came of it: done, failed, changed, gone, or in_doubt, if the client died meanwhile
and the file is gone. An intent without a second line was not done, or its client died
and nobody has looked yet. ` + "`" + p.name + ` undo` + "`" + ` takes such a file.`,
		Example: "  " + p.name + " job acts k3j2x1 > acts.jsonl\n  jq -r 'select(.state==\"done\").path' acts.jsonl",
	}
	return p.jobSub(cmd, nil, func(_ context.Context, c *call, s *hydra.Server, args []string) error {
		ctx := cmd.Context() // they may be many
		id, err := c.actsOf(ctx, s, args[0])
		if err != nil {
			return err
		}
		return s.WriteActs(ctx, id, c.stdout)
	})
}

// actsOf is the ID of a job that a part of it means.
func (c *call) actsOf(ctx context.Context, s *hydra.Server, part string) (string, error) {
	if c.local {
		return part, nil
	}
	job, err := c.find(ctx, s, part)
	return job.Job, err
}

// keepActs keeps what a job changed, before it is removed.
func (c *call) keepActs(ctx context.Context, s *hydra.Server, job string) error {
	// They may be many: it takes as long as it takes.
	c.answer.Stop()
	defer c.answer.Reset(answerTime)
	path, err := s.KeepActs(ctx, job)
	if err != nil {
		return fmt.Errorf("what job %s changed can not be kept, so it is not removed: %w", job, err)
	}
	if path != "" {
		c.say("what job " + job + " changed is kept in " + path)
	}
	return nil
}

// undoCommand takes back what an application did.
func (p *program) undoCommand() *cobra.Command {
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:     "undo [flags] RECORD",
		Short:   "Take back what an application did, by its records",
		GroupID: "cluster",
		Long: `Take back what an application did: files that it moved are moved back, also those of
which it is in doubt whether they were, and directories that it removed are made again
with their owner and permissions. What was deleted is gone. Nothing is replaced: a
path that something else has by now is an error, and the rest goes on. It can be done
again, and does what is left.

RECORD is the file that the result of a run names, or one of ` + "`" + p.name + ` job acts` + "`" + `; or the
name of a run or a job of this machine, or the ID of a job of a server. It is done by
this process, on the file systems as this machine sees them.`,
		Example: "  " + p.name + " undo --dry-run ~/.local/state/hydra/acts/local-20260131T120000-k3j2x1.jsonl\n  " + p.name + " undo --server nas-admin k3j2x1",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("one RECORD is expected")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
	}
	c := newCommon()
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVarP(&dryRun, "dry-run", "n", false, "change nothing, and tell what would be done")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	c.defineServer(f)
	c.defineLog(f)
	c.complete(cmd)
	cmd.DisableFlagsInUseLine = true
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := &call{program: p, common: c, title: cmd.CommandPath()}
		if _, err := r.begin(cmd, "undo"); err != nil {
			return err
		}
		logs, err := r.openLog()
		if err != nil {
			return err
		}
		defer logs.close()
		records, err := r.openActs(cmd.Context(), args[0])
		if err != nil {
			return asUsage(err)
		}
		defer records.Close()
		return asUsage(r.undo(cmd.Context(), records, dryRun, asJSON))
	}
	return cmd
}

func (c *call) undo(ctx context.Context, records *os.File, dryRun, asJSON bool) error {
	done, err := hydra.Undo(ctx, records, &hydra.UndoOptions{
		DryRun: dryRun,
		Done: func(path string) {
			if !c.quiet && !asJSON {
				fmt.Fprintln(c.stdout, escaped(path))
			}
		},
		Failed: func(path string, err error) {
			fmt.Fprintf(c.screen, "%s: %s: %s\n", c.title, escaped(path), escaped(err.Error()))
		},
	})
	if done != nil {
		if asJSON {
			doc, jsonErr := json.Marshal(struct {
				Schema string `json:"schema"`
				DryRun bool   `json:"dry_run"`
				*hydra.Undone
			}{"hydra.undo/1", dryRun, done})
			if jsonErr != nil {
				return jsonErr
			}
			c.stdout.Write(hydra.Lay(doc))
		} else {
			c.sayUndone(done, dryRun)
		}
		if done.Failed > 0 {
			c.code = exitErrors
		}
	}
	return err
}

// sayUndone says what came of it, for people.
func (c *call) sayUndone(u *hydra.Undone, dryRun bool) {
	verb := "back"
	if dryRun {
		verb = "would be back"
	}
	text := []string{fmt.Sprintf("%s files (%s) and %s directories %s", humanize.Comma(u.Restored), humanize.IBytes(uint64(max(0, u.Bytes))), humanize.Comma(u.Dirs), verb)}
	if u.There > 0 {
		text = append(text, humanize.Comma(u.There)+" were there already")
	}
	if u.Removed > 0 {
		text = append(text, humanize.Comma(u.Removed)+" were deleted and can not come back")
	}
	if u.Failed > 0 {
		text = append(text, humanize.Comma(u.Failed)+" failed")
	}
	c.say(strings.Join(text, ", "))
}

// holder is who has a job: this machine or a server, that of the default address if
// none is named.
func (c *call) holder(ctx context.Context, record string) (*hydra.Server, error) {
	if c.server != "" {
		return c.connect(ctx)
	}
	s, err := c.openLocal(ctx, record)
	if c.local || !errors.Is(err, hydra.ErrNoJob) {
		c.local = true
		return s, err
	}
	s, connectErr := c.connect(ctx)
	if connectErr != nil {
		return nil, fmt.Errorf("%w; and %w", err, connectErr)
	}
	return s, nil
}

// openActs opens records: a file, or those of a job, which become one.
func (c *call) openActs(ctx context.Context, record string) (*os.File, error) {
	isPath := strings.ContainsRune(record, os.PathSeparator)
	fi, err := os.Stat(record)
	switch {
	case err == nil && fi.IsDir() && isPath:
		return nil, fmt.Errorf("%s is a directory, and no record", record)
	case err == nil && fi.IsDir(): // a name may be that of a job
	case isPath, !errors.Is(err, fs.ErrNotExist):
		return os.Open(record)
	}
	if dir, err := hydra.ActsDir(); err == nil {
		// By the name that the result and the list of jobs have.
		if f, err := os.Open(filepath.Join(dir, record+".jsonl")); err == nil {
			return f, nil
		}
	}
	s, err := c.holder(ctx, record)
	if err != nil {
		return nil, fmt.Errorf("%s is no file: %w", record, err)
	}
	defer s.Close()
	id, err := c.actsOf(ctx, s, record)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp("", "hydra-acts-*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name()) // it is only ours; where that can not be done it stays
	if err := s.WriteActs(ctx, id, f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

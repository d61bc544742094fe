package hydra

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/hydrawalk/hydra/internal/natsd"
)

// Errors of jobs by name.
var (
	// ErrJobExists: a job of this name was made before.
	ErrJobExists = errors.New("there is one of this name already")
	// ErrNoJob: no local job has this name.
	ErrNoJob = errors.New("there is no local job")
)

// RunningError is the error of a local job that another process runs.
type RunningError struct {
	Job string
	PID int

	address, dir string
}

func (e *RunningError) Error() string {
	return fmt.Sprintf("job %s is being run by process %d", e.Job, e.PID)
}

var jobName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$`)

// CheckJobName tells whether a job can have a name: it is that of a directory, and of
// a table of the engine.
func CheckJobName(name string) error {
	if !jobName.MatchString(name) {
		return &UsageError{fmt.Errorf("%q can not be the name of a job: that is up to 64 letters, digits, _ and -, and does not begin with -", name)}
	}
	return nil
}

// jobsDir is where local jobs are.
func jobsDir() (string, error) {
	dir, err := userDir("XDG_STATE_HOME", filepath.Join(".local", "state"))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "jobs"), nil
}

func localDir(name string) (string, error) {
	dir, err := jobsDir()
	return filepath.Join(dir, name), err
}

// needsLocalJob is an error unless there is a directory for a job of a name.
func needsLocalJob(name string) error {
	if err := CheckJobName(name); err != nil {
		return err
	}
	dir, err := localDir(name)
	if err != nil {
		return err
	}
	if _, err = os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return noLocalJob(name)
	}
	return err
}

// LocalJobNames are the names of the local jobs of this user, sorted.
func LocalJobNames() ([]string, error) {
	dir, err := jobsDir()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && CheckJobName(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// LocalJobs tells of all local jobs of this user, by name.
func LocalJobs(ctx context.Context, o *LocalOptions) ([]JobStatus, error) {
	names, err := LocalJobNames()
	if err != nil {
		return nil, err
	}
	var all []JobStatus
	var errs []error
	for _, name := range names {
		st, err := localStatus(ctx, name, o)
		switch {
		case errors.Is(err, ErrNoJob): // it was never begun, or is removed just now
		case err != nil:
			errs = append(errs, err)
		default:
			all = append(all, st)
		}
	}
	return all, errors.Join(errs...)
}

func localStatus(ctx context.Context, name string, o *LocalOptions) (JobStatus, error) {
	for {
		s, err := OpenLocal(ctx, name, o)
		if err != nil {
			return JobStatus{}, err
		}
		st, err := s.Status(ctx, name)
		s.Close()
		if !errors.Is(err, errAway) {
			return st, err
		}
	}
}

// RemoveLocal forgets a local job that no process runs, and its result.
func RemoveLocal(ctx context.Context, name string) error {
	if err := needsLocalJob(name); err != nil {
		return err
	}
	dir, err := localDir(name)
	if err != nil {
		return err
	}
	lock, err := natsd.Lock(dir)
	if errors.Is(err, natsd.ErrInUse) {
		if other := (&local{name: name, dir: dir}).other(ctx); other != nil {
			return other
		}
		err = fmt.Errorf("job %s is in use by another process", name)
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.Name() != natsd.LockFile {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	if err != nil {
		return err
	}
	// Last what keeps others out. Where an open file can not be removed somebody may
	// begin the job anew meanwhile: then its directory stays.
	if os.Remove(lock.Name()) != nil {
		lock.Close()
		_ = os.Remove(lock.Name()) // see above
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("job %s is removed, but its directory is not: %w", name, err)
	}
	return nil
}

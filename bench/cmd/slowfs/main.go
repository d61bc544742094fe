// Command slowfs mounts a file system that is slow as one over a network is:
// each lookup, getattr and readdir takes a while, and many can wait at a time.
//
//	slowfs [flags] MOUNTPOINT
//
// It prints "ready" and what there is to count once it is mounted, and on SIGINT
// or SIGTERM it unmounts and prints as JSON how often it was asked for what. On
// SIGUSR1 it prints that and goes on.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "slowfs:", err)
		os.Exit(1)
	}
}

func run() error {
	wait := flag.Duration("delay", 500*time.Microsecond, "time that each lookup, getattr and readdir takes")
	dirs := flag.Uint64("dirs", 200, "directories")
	files := flag.Uint64("files", 20_000, "files, in all directories together")
	plus := flag.Bool("readdirplus", false, "listings carry attributes")
	valid := flag.Duration("valid", 0, "how long the kernel may keep names and attributes; 1s if 0 and -readdirplus")
	flag.Parse()
	if flag.NArg() != 1 || *dirs == 0 {
		return fmt.Errorf("usage: slowfs [flags] MOUNTPOINT")
	}
	if *plus && *valid == 0 {
		// What comes with a listing would be of no use.
		*valid = time.Second
	}
	// One more for the thread that sleeps and one for what waits in the kernel,
	// so that no request is late because of the others.
	runtime.GOMAXPROCS(runtime.NumCPU() + 2)

	f := &slowFS{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		dirs:          *dirs, perDir: *files / *dirs,
		valid: *valid, slow: newDelay(*wait),
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1)

	// MaxBackground limits none of the requests of a walk: somebody waits for
	// each of them, and the kernel sends them all.
	server, err := fuse.NewServer(f, flag.Arg(0), &fuse.MountOptions{
		FsName: "slowfs", Name: "slowfs",
		DirectMount:        os.Geteuid() == 0, // needs no fusermount
		DisableReadDirPlus: !*plus,
		DisableXAttrs:      true,
		MaxBackground:      1024,
	})
	if err != nil {
		return fmt.Errorf("mount %s: %w", flag.Arg(0), err)
	}
	served := make(chan struct{})
	go func() {
		server.Serve()
		close(served)
	}()
	if err := server.WaitMount(); err != nil {
		return fmt.Errorf("mount %s: %w", flag.Arg(0), err)
	}
	fmt.Println("ready", f.counts())

	out := json.NewEncoder(os.Stdout)
	for {
		select {
		case <-served: // somebody unmounted it
			return out.Encode(f.operations())
		case s := <-signals:
			if s != syscall.SIGUSR1 {
				if err := server.Unmount(); err != nil {
					return fmt.Errorf("unmount %s: %w", flag.Arg(0), err)
				}
				<-served
				return out.Encode(f.operations())
			}
			if err := out.Encode(f.operations()); err != nil {
				return err
			}
		}
	}
}

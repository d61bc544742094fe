module github.com/hydrawalk/hydra/bench

go 1.26.0

require (
	github.com/charlievieth/fastwalk v1.0.14
	github.com/hanwen/go-fuse/v2 v2.12.1
	github.com/hydrawalk/hydra v0.0.0-00010101000000-000000000000
	golang.org/x/sys v0.49.0
)

replace github.com/hydrawalk/hydra => ../

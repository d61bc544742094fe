//go:build !(amd64 || arm64 || riscv64 || loong64 || ppc64le || s390x)

package rawdir

const hasFstatat = false

func fstatat(at int, name Name, flags int, st *Stat) error {
	return statx(at, name, flags, AllFields, st)
}

#!/usr/bin/env bash
# Builds what is measured and what it is measured against, and runs the
# benchmark. Arguments are passed on: -only list,audit -rounds 3 -o FILE ...
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

missing=()
command -v fdfind >/dev/null || missing+=(fd-find)
command -v bfs >/dev/null || missing+=(bfs)
command -v cc >/dev/null || missing+=(gcc libc6-dev)
if ((${#missing[@]})); then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		apt-get update -q >&2
		apt-get install -qy --no-install-recommends "${missing[@]}" >&2
	else
		echo "not installed, and this is not root on Debian: ${missing[*]}; what is missing is not compared with" >&2
	fi
fi
command -v cc >/dev/null || { echo "there is no C compiler for the yardstick" >&2; exit 1; }

dir=${HYDRA_BENCH_DIR:-/var/tmp/hydra-bench}
bin=$dir/bin
mkdir -p "$bin"
dir=$(cd "$dir" && pwd)
bin=$dir/bin
export CGO_ENABLED=0
cc -O2 -Wall -Wextra -o "$bin/yardstick" "$here/yardstick.c" -lpthread
cc -O2 -Wall -Wextra -o "$bin/rusage" "$here/rusage.c"
(cd "$here" && go build -o "$bin/" ./cmd/...)
(cd "$here/.." && go build -o "$bin/" ./cmd/hydra)
exec "$bin/bench" -dir "$dir" -bin "$bin" "$@"

#!/bin/sh
# Runs the tests of packages with the race detector. Where many timers fire in bubbles of
# synctest, the detector itself crashes now and then: SIGSEGV in its own C++ code, on the
# stack of the system. After that alone they are run again, those that passed from the
# cache: not after a race, nor after a test that fails.
#
#	script/race.sh PACKAGE...
set -u
cd "$(dirname "$0")/.."
out=$(mktemp)
trap 'rm -f "$out" "$out.status"' EXIT
export CGO_ENABLED=1
for try in 1 2 3; do
	{ go test -vet=off -race -short "$@" 2>&1; echo $? >"$out.status"; } | tee "$out"
	status=$(cat "$out.status")
	if [ "$status" = 0 ] || ! grep -q '^SIGSEGV' "$out" || grep -qe 'DATA RACE' -e '--- FAIL' -e '^panic:' "$out"; then
		exit "$status"
	fi
	echo "== the race detector crashed"
done
exit "$status"

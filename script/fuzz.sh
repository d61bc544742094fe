#!/bin/sh
# Lets each fuzz target of the repository try new inputs for a while, one after the other.
# What makes one fail is written to testdata/fuzz of its package, where `go test` finds it:
# commit it with what mends it.
#
#	script/fuzz.sh [TIME]
set -eu
cd "$(dirname "$0")/.."
time=${1:-30s}

# An input that shows something new is made smaller for a minute, if nothing else is said.
grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sort | while IFS=: read -r file target; do
	target=${target#func }
	module=$(dirname "$file")
	echo "== $target of $module"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1s "$module"
done

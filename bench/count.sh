#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# count.sh BENCH ARGUMENT...: run it under callgrind; a line for each subject and workload: both names, "instructions", how
# many an operation takes, tab-separated.
set -euo pipefail
[ $# -ge 1 ] || {
	echo "usage: count.sh BENCH ARGUMENT..." >&2
	exit 2
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
valgrind --tool=callgrind --collect-atstart=no --callgrind-out-file="$scratch/out.%p" "$@" --counted >"$scratch/log" 2>&1 || {
	cat "$scratch/log" >&2
	exit 1
}
# One dump a workload, in order of their numbers: out.PID.1 ...
for dump in $(printf '%s\n' "$scratch"/out.*.* | sort -t. -k4 -n); do
	awk '
		/^desc: Trigger: Client Request: / { split(substr($0, 32), part, "|") }
		/^totals: / && part[3] { printf "%s\t%s\tinstructions\t%.4f\n", part[1], part[2], $2 / part[3]; part[3] = 0 }' \
		"$dump"
done

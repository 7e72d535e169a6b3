#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# fault_cost.sh PROGRAM FORMAT LIMIT: a whole vmmu_fault() on a fresh page takes at most LIMIT instructions. The
# difference between many faults and few is theirs alone. Exit 77 (skipped) where valgrind is not installed.
set -eu
program=$1 format=$2 limit=$3
few=50 many=450

command -v valgrind >/dev/null || {
	echo "fault_cost: skipped, needs valgrind (./dev deps)"
	exit 77
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
count() {
	valgrind --tool=callgrind --callgrind-out-file="$dir/out" --toggle-collect=vmmu_fault "$program" "$format" "$1" \
		>"$dir/log" 2>&1 || {
		cat "$dir/log"
		exit 1
	}
	sed -n 's/^.*Collected : \([0-9]*\).*$/\1/p' "$dir/log"
}
one=$((($(count $many) - $(count $few)) / (many - few)))
echo "$format: $one instructions a fault, at most $limit allowed"
[ "$one" -gt 0 ] && [ "$one" -le "$limit" ]

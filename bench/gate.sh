#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# gate.sh BENCH COUNTS COMPILER [--update]: no workload takes more instructions than COUNTS says, and a little. Exit 77, which
# ctest calls skipped: no valgrind, or not the compiler that the counts are of.
set -euo pipefail
[ $# -ge 3 ] || {
	echo "usage: gate.sh BENCH COUNTS COMPILER [--update]" >&2
	exit 2
}
bench=$1
counts=$2
compiler=$3
slack=1.03
command -v valgrind >/dev/null || {
	echo "gate: skipped: no valgrind"
	exit 77
}
if [ "${4-}" != --update ] && ! grep -qxF "# compiler: $compiler" "$counts"; then
	echo "gate: skipped: $compiler is not the $(sed -n 's/^# //p' "$counts" | grep '^compiler')"
	exit 77
fi

counted=$("${0%/*}/count.sh" "$bench" --no-floors --format ept4 --format npt4)
if [ "${4-}" = --update ]; then
	{
		sed '/^# compiler: /,$d' "$counts"
		echo "# compiler: $compiler"
		awk -F '\t' '{ printf "%s %s %s\n", $1, $2, $4 }' <<<"$counted"
	} >"$counts.new"
	mv "$counts.new" "$counts"
	exit
fi
awk -F '\t' -v slack=$slack -v rounding=0.0001 '
	FNR == NR {
		if (!/^#/ && split($0, part, " ") == 3)
			allowed[part[1] " " part[2]] = part[3]
		next
	}
	{
		name = $1 " " $2
		checked++
		if (!(name in allowed)) {
			printf "gate: %s takes %s instructions; none are allowed yet (./dev bench --gate)\n", name, $4
			bad++
		} else if ($4 > allowed[name] * slack + rounding) {
			printf "gate: %s takes %s instructions, %s were allowed\n", name, $4, allowed[name]
			bad++
		} else if ($4 < allowed[name] / slack) {
			printf "gate: %s takes %s instructions instead of %s: hold on to that by ./dev bench --gate\n", name, $4,
				allowed[name]
		}
		delete allowed[name]
	}
	END {
		for (name in allowed) {
			printf "gate: %s was not run\n", name
			bad++
		}
		printf "gate: %d checked, %d over\n", checked, bad
		exit !checked || bad
	}' "$counts" - <<<"$counted"

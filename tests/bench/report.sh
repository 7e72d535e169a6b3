#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# report.sh ROOT: what bench/report.awk makes of times, counts and targets; figures by hand.
set -u
[ $# -eq 1 ] || {
	echo "usage: report.sh ROOT" >&2
	exit 2
}
root=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# report WHAT: of times, counts and page.md as they are in the scratch directory.
report() {
	(cd "$scratch" && awk -v what="$1" -f "$root/bench/report.awk" "${@:2}" times counts)
}

# expect WHAT STATUS TEXT COMMAND...: its exit status, and a line of its output, exactly.
expect() {
	local what=$1 status=$2 text=$3 said got
	shift 3
	said=$("$@" 2>&1)
	got=$?
	[ $got -eq "$status" ] && grep -qxF -e "$text" <<<"$said" && return
	printf '%s: status %d, expected %d and "%s"; said:\n%s\n' "$what" $got "$status" "$text" "$said"
	failed=1
}

# target WORKLOAD FIGURE LIMIT
target() {
	printf '# Page\n\n| workload | figure | at most |\n|---|---|---|\n| %s | %s | %s |\n' "$@" >"$scratch/page.md"
	# The tables of figures are no targets.
	report table >>"$scratch/page.md"
}

# Subject, workload, median, smallest, largest, repetitions, levels.
printf '%s\t%s\t%s\t1\t9\t3\t4\n' ept4 split 3 ept4 translate-once 12 ept4 replay 50 npt4 split 4.2 npt4 translate-once 12 \
	floor split 2 floor translate-hot 4 floor-cas split 6 >"$scratch/times"
printf '%s\t%s\tinstructions\t%s\n' ept4 split 600 npt4 split 601 floor split 100 >"$scratch/counts"

expect "row" 0 "| split | 3.00 | 2.00 | 6.00 | 1.50 | 0.50 | 600 | 100 |  |" report table
expect "row beside a relative" 0 "| translate-once | 12 |  |  | 3.00 |  |  |  |  |" report table
expect "formats" 0 "| split | 1.50 | 2.10 |" report table
expect "formats without a floor" 0 "| replay | 1.00 |  |" report table
expect "json" 0 '    "split": {"ns": 3.0000, "ratio_f": 1.5000, "ratio_c": 0.5000, "instructions": 600.0000},' report json
target split ratio_f 2.1
expect "target met" 0 "targets: 2 checked, 0 fall short" report check page.md
target split ratio_f 2.0
expect "target missed" 1 "falls short: npt4 split: ratio_f 2.100, at most 2.0" report check page.md
target split instructions 600
expect "instructions" 1 "falls short: npt4 split: instructions 601.000, at most 600" report check page.md
target all ratio_ept 1.3
expect "relative to EPT" 1 "falls short: npt4 split: ratio_ept 1.400, at most 1.3" report check page.md
printf '%s\tsplit\t%s\t1\t9\t3\t%s\n' ept5 30 5 npt5 42 5 sv39x4 4.5 3 >>"$scratch/times"
expect "relative to EPT of five levels" 1 "falls short: npt5 split: ratio_ept 1.400, at most 1.3" report check page.md
expect "relative to EPT of four for fewer" 1 "falls short: sv39x4 split: ratio_ept 1.500, at most 1.3" report check page.md
target split ratio_ept 1.5
expect "EPT itself is not relative to EPT" 0 "targets: 3 checked, 0 fall short" report check page.md
target map-range ratio_f 1.0
expect "not measured" 1 "falls short: ept4 map-range: ratio_f not measured, at most 1.0" report check page.md
printf '%s\t%s\t%s\t%s\n' ept4 disjoint-2 gain 1.5 ept4 disjoint-2 gain_c 0.96 npt4 disjoint-2 gain_c 0.94 \
	floor-cas disjoint-2 gain 1.8 ept4 memory-tdp table_bytes 2101376 ept4 memory-tdp more_bytes 40000 >>"$scratch/times"
expect "threads" 0 "| disjoint-2 | 1.50 | 1.80 | 0.96 |" report table
expect "memory" 0 "| tdp | 2101376 | 40000 |" report table
expect "what has no time stands in no table of times" 1 "0" grep -c "^| memory-tdp" <(report table)
expect "json of threads" 0 '    "disjoint-2": {"ns": null, "ratio_f": null, "ratio_c": null, "instructions": null, "gain": 1.5000, "gain_c": 0.9600},' \
	report json
target disjoint-2 gain_c "at least 0.95"
expect "target from below missed" 1 "falls short: npt4 disjoint-2: gain_c 0.940, at least 0.95" report check page.md
target disjoint-2 gain_c "at least 0.94"
expect "target from below met" 0 "targets: 2 checked, 0 fall short" report check page.md
target memory-tdp table_bytes 2101375
expect "bytes" 1 "falls short: ept4 memory-tdp: table_bytes 2101376.000, at most 2101375" report check page.md
printf '# Page\n' >"$scratch/page.md"
expect "no targets" 1 "targets: 0 checked, 0 fall short" report check page.md
: >"$scratch/counts"
target split instructions 600
expect "no counts" 0 "skipped: 2 targets of instructions: no valgrind" report check page.md
exit $failed

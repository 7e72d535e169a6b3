#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Mutation testing: break the code in one place, build, and see a test fail; for each entry of the lists beside this
# file (README.md says what an entry looks like). Works on copies of the tree, one per job, and never in it.
#
# Exit: 0 all killed; 1 a mutation survived, does not build, or its old text does not stand exactly once in its file;
# 2 usage, or the tests fail without any mutation.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$top/build-mutate
jobs=$(nproc)
test_seconds=600

. "$top/tests/mutations/lib.sh"

die() {
	printf 'mutate: %s\n' "$*" >&2
	exit 2
}

# build_in TREE LOG [TARGET...]: those targets, else everything.
build_in() {
	local tree=$1 log=$2
	shift 2
	cmake --build "$tree/build" --parallel "$build_jobs" ${1+--target "$@"} >"$log" 2>&1
}

# programs_of TREE TESTS: what has to be built for these tests to run, as ninja calls it; nothing: it cannot be told.
programs_of() {
	local tree=$1 tests=$2
	[ -f "$tree/build/build.ninja" ] || return 0
	ctest --test-dir "$tree/build" --show-only --verbose -R "^(${tests// /|})\$" |
		sed -nE "s|^[0-9]+: Test command: \"?$tree/build/([^ \"]+).*|\1|p"
}

# ctest_in TREE LOG CTEST-ARGUMENT...: structure tests look at the text, not at what it does: they may not kill.
ctest_in() {
	local tree=$1 log=$2
	shift 2
	ctest --test-dir "$tree/build" --label-exclude house --timeout "$test_seconds" --stop-on-failure \
		--output-on-failure --parallel "$build_jobs" "$@" </dev/null >"$log" 2>&1
}

# who_failed LOG: the first test that failed, Criterion's name of it too if there is one.
who_failed() {
	local test inner
	test=$(sed -nE 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) .*\*\*\*(.*[^ ]) +[0-9.]+ sec$/\1 (\2)/p' "$1" | head -n 1)
	inner=$(sed -E 's/\x1b\[[0-9;]*m//g' "$1" | sed -nE 's/^\[(FAIL|CRASH)\] ([^ ]+::[^: ]+).*/\2/p' | head -n 1)
	test=${test/ (Failed)/}
	printf '%s\n' "${test:-?}${inner:+: $inner}"
}

# does_not_build LOG: the verdict.
does_not_build() {
	if grep -q 'static assertion failed' "$1"; then
		printf 'killed\ta static assertion\n'
	else
		printf 'does not build\t%s\n' "$(grep -m 1 'error' "$1" | cut -c 1-100)"
	fi
}

# judge TREE LOG TESTS: `killed TAB by whom` or `survived`. The tests named for it come first: only their programs are
# built, and the rest only when they do not notice.
judge() {
	local tree=$1 log=$2 tests=$3 programs=()
	if [ -n "$tests" ]; then
		mapfile -t programs < <(programs_of "$tree" "$tests")
		if ! build_in "$tree" "$log" ${programs[@]+"${programs[@]}"}; then
			does_not_build "$log"
			return
		fi
		if ! VMMU_ONE_OF_EACH=1 ctest_in "$tree" "$log" --no-tests=error -R "^(${tests// /|})\$"; then
			if grep -q '^No tests were found' "$log"; then
				printf 'unknown tests\t%s\n' "$tests"
			else
				printf 'killed\t%s\n' "$(who_failed "$log")"
			fi
			return
		fi
	fi
	if ! build_in "$tree" "$log"; then
		does_not_build "$log"
	elif ! ctest_in "$tree" "$log"; then
		printf 'killed\t%s%s\n' "$(who_failed "$log")" "${tests:+ (and not by: $tests)}"
	else
		printf 'survived\t\n'
	fi
}

# worker NUMBER: every jobs-th entry, in its own tree; verdicts go to a file, one line each.
worker() {
	local number=$1 tree=$scratch/tree$1 line=0 name file tests old new verdict
	while IFS= read -r entry; do
		line=$((line + 1))
		[ $((line % jobs)) -eq "$number" ] || continue
		IFS=$'\x02' read -r name file tests old new <<<"${entry//$'\t'/$'\x02'}"
		if [ ! -f "$top/$file" ]; then
			verdict="no such file"$'\t'$file
		elif ! mutate_file "$tree/$file" "$old" "$new"; then
			verdict="old text not exactly once"$'\t'$file
		else
			verdict=$(judge "$tree" "$scratch/log$number" "$tests")
			cp "$top/$file" "$tree/$file"
		fi
		printf '%-44s %s\n' "$name" "${verdict/$'\t'/: }"
		printf '%d\t%s\t%s\n' "$line" "$name" "$verdict" >>"$scratch/verdicts$number"
	done <"$scratch/entries"
}

# prepare NUMBER: a pristine tree, built.
prepare() {
	local tree=$scratch/tree$1
	sync_tree "$tree"
	(cd "$tree" && cmake --preset mutate) >"$scratch/log$1" 2>&1 && build_in "$tree" "$scratch/log$1" || {
		tail -n 20 "$scratch/log$1"
		die "the tree does not build without any mutation"
	}
}

baseline() {
	prepare 0
	VMMU_ONE_OF_EACH=1 ctest_in "$scratch/tree0" "$scratch/log0" --no-tests=error || {
		tail -n 40 "$scratch/log0"
		die "the tests fail without any mutation"
	}
}

# select_entries NAME...: all entries, or those named.
select_entries() {
	local name
	if [ $# -eq 0 ]; then
		cat "$scratch/all"
		return
	fi
	for name; do
		awk -F '\t' -v name="$name" '$1 == name { print; found = 1 } END { exit !found }' "$scratch/all" ||
			die "no entry called $name"
	done
}

report() {
	local killed all
	sort -n "$scratch"/verdicts* >"$scratch/verdicts"
	all=$(wc -l <"$scratch/verdicts")
	killed=$(awk -F '\t' '$3 == "killed"' "$scratch/verdicts" | wc -l)
	printf '\n%-44s %-10s %s\n' mutation verdict 'killed by'
	awk -F '\t' '{ printf "%-44s %-10s %s\n", $2, $3, $4 }' "$scratch/verdicts"
	printf '\n%d mutations, %d killed, %d not\n' "$all" "$killed" $((all - killed))
	[ "$all" -eq "$(wc -l <"$scratch/entries")" ] || die "a worker died"
	[ "$all" -eq "$killed" ]
}

main() {
	local number names=() list=
	while [ $# -gt 0 ]; do
		case $1 in
		--jobs) [[ ${2-} =~ ^[1-9][0-9]?$ ]] || die "--jobs takes a number"; jobs=$2; shift ;;
		--list) list=1 ;;
		-*) die "unknown option $1" ;;
		*) names+=("$1") ;;
		esac
		shift
	done
	mkdir -p "$scratch"
	rm -f "$scratch"/verdicts*
	parse "$top"/tests/mutations/*.txt >"$scratch/all" || die "the list is broken"
	select_entries ${names[@]+"${names[@]}"} >"$scratch/entries"
	if [ -n "$list" ]; then
		cut -f 1,2 "$scratch/entries"
		return
	fi
	[ -s "$scratch/entries" ] || die "no entries"
	[ "$jobs" -le "$(wc -l <"$scratch/entries")" ] || jobs=$(wc -l <"$scratch/entries")
	build_jobs=$(($(nproc) / jobs > 0 ? $(nproc) / jobs : 1))
	echo "mutate: building and testing without mutations"
	baseline
	for ((number = 1; number < jobs; number++)); do
		prepare "$number"
	done
	for ((number = 0; number < jobs; number++)); do
		worker "$number" &
	done
	wait
	report
}

# One failing test is enough.
export CRITERION_FAIL_FAST=1
if [ -f /usr/bin/ninja ]; then
	export CMAKE_GENERATOR=Ninja
fi
# What is put back after each entry need not be compiled again.
if command -v ccache >/dev/null; then
	export CMAKE_C_COMPILER_LAUNCHER=ccache
fi
main "$@"

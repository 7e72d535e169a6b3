#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the fuzz targets: what `./dev fuzz` does. docs/fuzzing.md says what each target is and keeps the last results.
#
# Exit: 0 nothing found; 1 a finding (the input that shows it is kept, and the command that replays it is printed);
# 2 usage, or the targets do not build.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top" || exit 2
build="build-fuzz"
seconds=60
jobs=${VMMU_JOBS:-$(nproc)}
seed=${VMMU_SEED:-$((RANDOM * 32768 + RANDOM + 1))}
engine=libfuzzer

usage() {
	cat <<'EOT'
usage: ./dev fuzz [--time TIME] [--jobs N] [--afl] [TARGET...]
       ./dev fuzz --planted [--time TIME] [NAME...]
       ./dev fuzz --list

  --time TIME  for each target (or planted bug): seconds, or with m or h behind the number; default 60 (planted: 10m)
  --jobs N     targets at the same time
  --afl        with AFL++ (Debian: afl++) instead of libFuzzer
  --planted    plant the bugs of fuzz/planted.txt one by one and see each found
Environment: VMMU_SEED (of the first mutations), VMMU_JOBS.
EOT
}

die() {
	printf 'fuzz: %s\n' "$*" >&2
	exit 2
}

targets() {
	sed -nE 's/^vmmu_fuzz_target\(([a-z]+).*/\1/p' fuzz/CMakeLists.txt
}

# in_seconds TIME: 90, 10m, 1h.
in_seconds() {
	[[ $1 =~ ^([1-9][0-9]{0,5})([smh]?)$ ]] || die "not a time: $1"
	case ${BASH_REMATCH[2]} in
	m) echo $((BASH_REMATCH[1] * 60)) ;;
	h) echo $((BASH_REMATCH[1] * 3600)) ;;
	*) echo "${BASH_REMATCH[1]}" ;;
	esac
}

build_targets() {
	local log=$build/build.log
	mkdir -p "$build"
	cmake --preset "$1" >"$log" 2>&1 && cmake --build "$build" --parallel "$jobs" \
		--target "${chosen[@]/#/fuzz_}" >"$log" 2>&1 || {
		tail -n 30 "$log"
		die "the targets do not build"
	}
}

# run_libfuzzer TARGET: one line of the results, tab-separated, into its .result file.
run_libfuzzer() {
	local target=$1 log=$build/log/$1 found=$build/found/$1 options=() finding
	mkdir -p "$build/log" "$found" "$build/findings"
	[ ! -f "fuzz/dict/$target.dict" ] || options+=("-dict=fuzz/dict/$target.dict")
	# print_funcs=0: what libFuzzer prints of new functions takes a symbolizer, which a target would have to tell from
	# processes that it left behind.
	timeout --kill-after=10 $((seconds + 120)) "$build/fuzz/fuzz_$target" -max_total_time="$seconds" \
		-seed="$seed" -print_funcs=0 -max_len=2048 -len_control=0 -timeout=20 -rss_limit_mb=2048 -close_fd_mask=2 \
		-print_final_stats=1 -artifact_prefix="$build/findings/$target-" ${options[@]+"${options[@]}"} \
		"$found" "fuzz/corpus/$target" >"$log" 2>&1
	finding=$?
	[ "$finding" -eq 0 ] && finding=none || finding=$(sed -nE 's/.*Test unit written to (.*)/\1/p' "$log" | tail -n 1)
	printf '%s\t%s\t%s\t%s\n' "$target" \
		"$(sed -nE 's/^stat::number_of_executed_units: *([0-9]+)/\1/p' "$log" | tail -n 1)" \
		"$(sed -nE 's/.* cov: ([0-9]+) .*/\1/p' "$log" | tail -n 1)" \
		"${finding:-the run failed, see $log}" >"$log.result"
}

# run_afl TARGET: the same with AFL++; what it counts as coverage is edges in its map.
run_afl() {
	local target=$1 log=$build/log/$1 out=$build/found/$1 stats options=() finding=none
	mkdir -p "$build/log" "$build/found"
	rm -rf "$out"
	[ ! -f "fuzz/dict/$target.dict" ] || options+=(-x "fuzz/dict/$target.dict")
	AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_AFFINITY=1 \
		timeout --kill-after=10 $((seconds + 120)) afl-fuzz -V "$seconds" -s "$seed" -t 20000 -i "fuzz/corpus/$target" \
		-o "$out" ${options[@]+"${options[@]}"} -- "$build/fuzz/fuzz_$target" >"$log" 2>&1 ||
		finding="the run failed, see $log"
	stats=$out/default/fuzzer_stats
	# shellcheck disable=SC2012
	ls "$out"/default/crashes/id* >/dev/null 2>&1 && finding=$(ls "$out"/default/crashes/id* | head -n 1)
	printf '%s\t%s\t%s\t%s\n' "$target" "$(sed -nE 's/^execs_done *: *//p' "$stats" 2>/dev/null)" \
		"$(sed -nE 's/^edges_found *: *//p' "$stats" 2>/dev/null)" "$finding" >"$log.result"
}

run_all() {
	local target
	for target; do
		while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
			wait -n
		done
		"run_$engine" "$target" &
	done
	wait
}

# The results as a table; fails if any target has a finding.
report() {
	local target execs cov finding status=0
	printf '| target | executions | coverage | finding |\n|---|---|---|---|\n'
	for target; do
		IFS=$'\t' read -r _ execs cov finding <"$build/log/$target.result"
		printf '| %s | %s | %s | %s |\n' "$target" "${execs:-0}" "${cov:-0}" "$finding"
		[ "$finding" = none ] && [ "${execs:-0}" -gt 0 ] || status=1
	done
	return $status
}

# What was found, and how to see it again.
explain() {
	local target finding
	for target; do
		IFS=$'\t' read -r _ _ _ finding <"$build/log/$target.result"
		[ "$finding" != none ] || continue
		printf '\n%s: ' "$target"
		grep -m 1 -E 'finding:|ERROR:|runtime error:' "$build/log/$target" || tail -n 3 "$build/log/$target"
		[ ! -f "$finding" ] || printf 'replay: %s/fuzz/fuzz_%s %s\n' "$build" "$target" "$finding"
	done
}

# The table goes to docs/fuzzing.md, in place of the last one; not what CI's short runs say.
write_results() {
	local table=$1 page=docs/fuzzing.md
	[ -z "${CI-}" ] && [ -f $page ] || return 0
	awk -v table="$table" -v head="Written by \`./dev fuzz\`: $(date -u +%F), commit $(git describe --always --dirty \
		2>/dev/null || echo unknown), $seconds s each, seed $seed, $(nproc) cores, $engine." '
		/^<!-- results -->/ { print; print ""; print head; print ""
			while ((getline line <table) > 0) print line
			print ""; skip = 1; next }
		/^<!-- end of results -->/ { skip = 0 }
		!skip' $page >"$build/page" && cat "$build/page" >$page
}

fuzz() {
	local status=0 all
	mapfile -t all < <(targets)
	[ ${#chosen[@]} -gt 0 ] || chosen=("${all[@]}")
	for target in "${chosen[@]}"; do
		printf '%s\n' "${all[@]}" | grep -x "$target" >/dev/null || die "no target called $target; there are: ${all[*]}"
	done
	[ $engine = libfuzzer ] || build="build-afl"
	build_targets "$([ $engine = libfuzzer ] && echo fuzz || echo afl)"
	rm -f "$build"/log/*
	printf 'fuzz: %s, %s s each, %s at a time, VMMU_SEED=%s\n' "${chosen[*]}" "$seconds" "$jobs" "$seed"
	run_all "${chosen[@]}"
	report "${chosen[@]}" >"$build/results" || status=1
	cat "$build/results"
	explain "${chosen[@]}"
	[ ${#chosen[@]} -ne ${#all[@]} ] || write_results "$build/results"
	return $status
}

main() {
	local planted='' given=''
	chosen=()
	while [ $# -gt 0 ]; do
		case $1 in
		--time) given=$(in_seconds "${2-}") || exit 2; shift ;;
		--jobs) [[ ${2-} =~ ^[1-9][0-9]?$ ]] || die "--jobs takes a number"; jobs=$2; shift ;;
		--afl) engine=afl ;;
		--planted) planted=1 ;;
		--list) targets; return ;;
		--help) usage; return ;;
		-*) usage >&2; exit 2 ;;
		*) chosen+=("$1") ;;
		esac
		shift
	done
	if [ -n "$planted" ]; then
		exec fuzz/planted.sh "${given:-600}" ${chosen[@]+"${chosen[@]}"}
	fi
	seconds=${given:-$seconds}
	fuzz
}

if [ -f /usr/bin/ninja ]; then
	export CMAKE_GENERATOR=Ninja
fi
main "$@"

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run.sh BENCH ROOT [OPTION...]: measure, count instructions, print the tables, write them into docs/performance.md.
set -euo pipefail

usage() {
	cat <<'EOT'
usage: ./dev bench [OPTION...]

  --quick      EPT and NPT alone, three repetitions, nothing written to docs/performance.md
  --reps N     repetitions (9)
  --json FILE  also write the figures to FILE
  --check      compare with the targets of docs/performance.md; exit 1 when one is missed
  --gate       write the instruction counts that the tests allow, as they are now, to bench/instructions.txt
EOT
}

usage_die() {
	printf 'bench: %s (see ./dev bench --help)\n' "$*" >&2
	exit 2
}

[ $# -ge 2 ] || {
	usage >&2
	exit 2
}
bench=$1
root=$2
shift 2
formats=(ept4 npt4 ept5 npt5 sv39x4 sv48x4 sv57x4 arm-s2-4k)
reps=9
json=
check=
gate=
page=$root/docs/performance.md
while [ $# -gt 0 ]; do
	case $1 in
	--quick)
		formats=(ept4 npt4)
		reps=3
		page=
		;;
	--reps | --json)
		[ $# -ge 2 ] || usage_die "$1 takes a value"
		[ "$1" = --reps ] && reps=$2 || json=$2
		shift
		;;
	--reps=*) reps=${1#*=} ;;
	--json=*) json=${1#*=} ;;
	--check) check=1 ;;
	--gate) gate=1 ;;
	--help)
		usage
		exit
		;;
	*) usage_die "no option $1" ;;
	esac
	shift
done

compiler=$(sed -n 's/^# compiler of this build: //p' "$(dirname "$bench")/compiler.txt")
if [ -n "$gate" ]; then
	"$root/bench/gate.sh" "$bench" "$root/bench/instructions.txt" "$compiler" --update
	echo "bench: written to bench/instructions.txt"
	exit
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
traces=$root/tests/data/traces
common=(--trace "$traces/x86-npf-linux6.1-seabios-32k.tracefs.txt.gz"
	--layout "$traces/x86-qemu7.2-i440fx-vga-kvm_set_user_memory.txt")
for format in "${formats[@]}"; do
	common+=(--format "$format")
done
"$bench" --reps "$reps" "${common[@]}" >"$scratch/times"
: >"$scratch/counts"
if command -v valgrind >/dev/null; then
	"$root/bench/count.sh" "$bench" "${common[@]}" >"$scratch/counts"
else
	echo "bench: no instruction counts: no valgrind"
fi

# report WHAT [FILE]: see report.awk.
report() {
	awk -v what="$1" -f "$root/bench/report.awk" "${@:2}" "$scratch/times" "$scratch/counts"
}

# The figures of docs/performance.md stand between two marks.
write_page() {
	local commit
	commit=$(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)
	{
		sed '/^<!-- measured -->$/q' "$page"
		echo
		echo "Commit $commit, $(date -u +%F), $compiler, $reps repetitions," \
			"$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -1), $(nproc) cores."
		echo
		cat "$scratch/table"
		echo
		sed -n '/^<!-- end of measured -->$/,$p' "$page"
	} >"$scratch/page"
	cat "$scratch/page" >"$page"
	echo "bench: written to docs/performance.md"
}

report table >"$scratch/table"
cat "$scratch/table"
if [ -n "$page" ]; then
	write_page
fi
if [ -n "$json" ]; then
	report json >"$json"
	echo "bench: written to $json"
fi
if [ -n "$check" ]; then
	report check "$root/docs/performance.md"
fi

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run.sh DIRECTORY ROOT [OPTION...]: what ./dev oracle does once vmmu-oracle is built in DIRECTORY.
set -euo pipefail
formats=(ept4 ept4-noad ept4-mbe ept4-ve ept5 npt4 npt5 sv39x4 sv48x4 sv57x4 sv39x4-napot arm-s2-4k arm-s2-4k-40
	arm-s2-4k-43 arm-s2-4k-cont arm-s2-4k-lpa2 arm-s2-16k arm-s2-16k-cont arm-s2-64k arm-s2-64k-cont arm-s2-64k-lpa)

usage() {
	cat <<'EOT'
usage: ./dev oracle [--random N] [--seed S] [--format F] [--json]
       ./dev oracle --traces [--format F] [--json]
       ./dev oracle --report [--random N] [--seed S]

Put tables that the library built before the MMUs of emulators (QEMU, Bochs), and compare.

  --random N   N random probes a format (default 20000; the report: 200000)
  --seed S     repeat a run (default 1)
  --format F   that format alone (default: all)
  --traces     the accesses of the bundled recordings, in place of random ones
  --json       results as JSON, one line a format
  --report     both for every format, into docs/fidelity.md

Exit status: 0 all agree, or a known defect of the emulator explains it; 1 not; 2 usage.
Formats that no emulator here can judge are named and passed over.
EOT
}

die() {
	printf 'oracle: %s (see ./dev oracle --help)\n' "$*" >&2
	exit 2
}

program=$1/vmmu-oracle
root=$2
shift 2
random=
seed=1
json=()
mode=random
while [ $# -gt 0 ]; do
	case $1 in
	--random | --seed | --format) [ $# -gt 1 ] || die "$1 wants a value" ;;
	esac
	case $1 in
	--random)
		random=$2
		shift
		;;
	--seed)
		seed=$2
		shift
		;;
	--format)
		formats=("$2")
		shift
		;;
	--traces) mode=traces ;;
	--report) mode=report ;;
	--json) json=(--json) ;;
	-h | --help)
		usage
		exit 0
		;;
	*) die "what is $1?" ;;
	esac
	shift
done
traces=(--traces "$root/tests/data/traces")

# The worst status so far; 77 is a format that was passed over.
worst=0
status_add() {
	if [ "$1" -eq 2 ]; then
		exit 2
	elif [ "$1" -ne 0 ] && [ "$1" -ne 77 ]; then
		worst=1
	fi
}

# judge OPTION...: one run.
judge() {
	local status=0
	"$program" "$@" || status=$?
	status_add $status
}

report() {
	local format
	echo '# Emulators as judges: the last full run'
	echo
	echo 'Real kernels as judges, each difference that was met with its fix or reason: [compare.md](compare.md).'
	echo
	echo "Written by \`./dev oracle --report\`: $(date -u +%F), commit $(git -C "$root" describe --always --dirty \
		2>/dev/null || echo unknown), ${random:-200000} random probes a format, seed $seed."
	echo
	cat <<'EOT'
A bare-metal program runs under each emulator with tables that the library built, accesses through them, and tells what
came of it. Three sides are compared: what was asked of the engine (a flat list of calls, and `vmmu_walk()`), the model of
the hardware (`vmmu/hw.h`), the emulator's own MMU. Half of the probes see the engine's tables, while these are being changed;
the other half tables with bits flipped, which model and emulator must judge alike: result, page, fault registers, and
the entries afterwards. [fidelity-notes.md](fidelity-notes.md) says where the model had a choice.

"Asked of the engine" and "explained" must account for everything: the command fails otherwise, or when a known defect of an
emulator explains more than one probe in 50. *Recordings* are the accesses of the bundled traces, each retried by the
engine's handling of its fault until it reached the page that its memory slot means, or was to be emulated.

EOT
	for format in "${formats[@]}"; do
		judge --format "$format" --random "${random:-200000}" --seed "$seed" --markdown
		judge --format "$format" "${traces[@]}" --recordings
	done
}

case $mode in
report)
	file=$(mktemp)
	trap 'rm -f "$file"' EXIT
	report >"$file"
	cat "$file" >"$root/docs/fidelity.md"
	echo "written to docs/fidelity.md"
	;;
traces) for format in "${formats[@]}"; do judge --format "$format" "${traces[@]}" "${json[@]}"; done ;;
*)
	for format in "${formats[@]}"; do
		judge --format "$format" --random "${random:-20000}" --seed "$seed" "${json[@]}"
	done
	;;
esac
exit $worst

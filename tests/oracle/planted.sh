#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# planted.sh VMMU_ORACLE: mistakes planted between engine and emulator are found, usage errors are told from them.
set -u
[ $# -eq 1 ] || {
	echo "usage: planted.sh VMMU_ORACLE" >&2
	exit 2
}
oracle=$1
failed=0
judged=0

# expect STATUS OPTION...: a run ends so, unless there is nothing to judge with.
expect() {
	local expected=$1 said status
	shift
	said=$("$oracle" "$@" 2>&1)
	status=$?
	[ "$status" -ne 77 ] || return 0
	judged=$((judged + 1))
	[ "$status" -ne "$expected" ] || return 0
	printf 'vmmu-oracle %s: status %d, expected %d:\n%s\n' "$*" "$status" "$expected" "$(head -n 5 <<<"$said")"
	failed=1
}

# A word of the tables that is not the one the engine wrote: every emulator sees it.
for format in sv39x4 arm-s2-4k npt4 ept4; do
	expect 1 --format $format --random 1000 --plant entry
done
# The engine's flushes are lost: where an emulator keeps translations, it shows.
for format in sv39x4 arm-s2-4k; do
	expect 1 --format $format --random 2000 --plant flush
done
expect 0 --format sv39x4 --random 500 --seed 3 --json
[ $judged -gt 0 ] || exit 77
expect 2 --format nothing
expect 2 --format ept4 --random 0
expect 2 --format ept4 --random 12x
expect 2 --format ept4 --plant nothing
expect 2 --format ept4 surplus
expect 2
expect 0 --help
echo "planted: $judged runs"
exit $failed

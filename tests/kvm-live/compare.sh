#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# compare.sh COMMAND ROOT [--report]: hold every bundled recording of a real KVM against the engine and print a line for
# each; --report: also into docs/compare.md, between its markers. Exit 1 if anything differs.
set -eu
[ $# -ge 2 ] || {
	echo "usage: compare.sh COMMAND ROOT [--report]" >&2
	exit 2
}
. "${0%/*}/lib.sh"
command=$1 root=$2 report=${3-}
recordings=$root/tests/data/traces/kvm-live
page=$root/docs/compare.md
failed=0

# One row of the table for recording $1 of configuration $2 of kernel $3.
row() {
	local name=$1 config=$2 kernel=$3 json options
	local dir=$recordings/$kernel/$config
	read -ra options <<<"$(options "$config")"
	json=$("$command" replay --compare --json --kvm "${kernel#*-}" "${options[@]}" --layout "$dir/$name.slots.txt" \
		"$dir/$name.tracefs.txt.gz") || failed=1
	local total agree explained
	total=$(number total <<<"$json") agree=$(number agree <<<"$json") explained=$(number explained <<<"$json")
	printf '| %s | %s | %s | %d | %d | %d | %d |\n' "$kernel" "$config" "$name" "$total" "$agree" "$explained" \
		$((total - agree - explained))
}

table() {
	printf '| kernel | configuration | script | events | agree | explained | differ |\n|---|---|---|---|---|---|---|\n'
	for file in "$recordings"/*/*/*.tracefs.txt.gz; do
		local name config kernel
		name=$(basename "$file" .tracefs.txt.gz)
		config=$(basename "$(dirname "$file")")
		kernel=$(basename "$(dirname "$(dirname "$file")")")
		row "$name" "$config" "$kernel"
	done
}

out=$(mktemp)
trap 'rm -f "$out"' EXIT
table >"$out"
cat "$out"
if [ "$report" = --report ]; then
	{
		sed '/^<!-- begin -->/q' "$page"
		echo
		cat "$out"
		echo
		sed -n '/^<!-- end -->/,$p' "$page"
	} >"$page.new"
	mv "$page.new" "$page"
fi
exit $failed

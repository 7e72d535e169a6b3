#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# planted.sh SECONDS [NAME...]: plant each bug of planted.txt in a copy of the tree, build its target, and see that the
# fuzzer finds it, from the committed corpus, within SECONDS. Use `./dev fuzz --planted`.
#
# Exit: 0 all found; 1 one was not found, does not build, or its old text does not stand exactly once; 2 usage.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$top/tests/mutations/lib.sh"
scratch=$top/build-planted
tree=$scratch/tree
seconds=$1
shift

build_target() {
	cmake --build "$tree/build-fuzz" --parallel "$(nproc)" --target "fuzz_$1" >"$scratch/log" 2>&1
}

# find TARGET: seconds it took, or nothing.
find_bug() {
	local target=$1 start=$SECONDS options=()
	rm -rf "$scratch/found"
	mkdir -p "$scratch/found"
	[ ! -f "$tree/fuzz/dict/$target.dict" ] || options+=("-dict=$tree/fuzz/dict/$target.dict")
	"$tree/build-fuzz/fuzz/fuzz_$target" -max_total_time="$seconds" -seed="${VMMU_SEED:-1}" -max_len=2048 \
		-len_control=0 -timeout=20 -close_fd_mask=2 -artifact_prefix="$scratch/found/" \
		${options[@]+"${options[@]}"} "$scratch/found" "$tree/fuzz/corpus/$target" >"$scratch/log" 2>&1 && return
	echo $((SECONDS - start))
}

plant() {
	local file=$1 target=$2 old=$3 new=$4 took said
	if ! mutate_file "$tree/$file" "$old" "$new"; then
		echo "old text not exactly once in $file"
	elif ! build_target "$target"; then
		echo "does not build: $(grep -m 1 error "$scratch/log" | cut -c 1-100)"
	else
		took=$(find_bug "$target")
		said=$(grep -m 1 -oE 'finding: .*|ERROR: AddressSanitizer.*|ERROR: LeakSan.*|runtime error:.*' "$scratch/log")
		if [ -n "$took" ] && [ -z "$said" ]; then
			# formats from outside that are refused at the start, say: that shows nothing
			echo "NOT FOUND by $target, which ended by itself: $(tail -n 1 "$scratch/log" | cut -c 1-60)"
		elif [ -z "$took" ]; then
			echo "NOT FOUND by $target in $seconds s"
		else
			echo "found by $target in $took s: ${said:0:90}"
		fi
	fi
	cp "$top/$file" "$tree/$file"
}

# What was found when goes to docs/fuzzing.md, in place of the last time's.
write_results() {
	local page=$top/docs/fuzzing.md
	awk -v results="$scratch/results" -v head="Written by \`./dev fuzz --planted\`: $(date -u +%F), commit $(git -C \
		"$top" describe --always --dirty 2>/dev/null || echo unknown)." '
		/^<!-- planted -->/ { print; print ""; print head; print ""; print "```text"
			while ((getline line <results) > 0) print line
			print "```"; print ""; skip = 1; next }
		/^<!-- end of planted -->/ { skip = 0 }
		!skip' "$page" >"$scratch/page" && cat "$scratch/page" >"$page"
}

mkdir -p "$scratch"
rm -f "$scratch/results"
parse "$top/fuzz/planted.txt" >"$scratch/entries" || exit 2
sync_tree "$tree"
(cd "$tree" && cmake --preset fuzz) >"$scratch/log" 2>&1 || exit 2
missed=0 count=0
while IFS= read -r entry; do
	IFS=$'\x02' read -r name file target old new <<<"${entry//$'\t'/$'\x02'}"
	[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
	verdict=$(plant "$file" "$target" "$old" "$new")
	[[ $verdict == found* ]] || missed=$((missed + 1))
	count=$((count + 1))
	printf '%-44s %s\n' "$name" "$verdict" | tee -a "$scratch/results"
done <"$scratch/entries"
printf '%d planted, %d found, %d not\n' "$count" $((count - missed)) "$missed"
[ $# -gt 0 ] || [ -n "${CI-}" ] || write_results
[ "$count" -gt 0 ] && [ "$missed" -eq 0 ]

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Mutation lists follow the code: the text that an entry replaces stands on exactly one line of its file. `./dev mutate`
# says so too, but takes hours.
. "${0%/*}/lib.sh"
[ $# -eq 1 ] || house_usage
root=$1

checked=0
findings=
for list in "$root"/tests/mutations/*.txt; do
	[ -f "$list" ] || continue
	file=
	name=
	while IFS= read -r line; do
		case $line in
		'name: '*) name=${line#name: } ;;
		'file: '*) file=${line#file: } ;;
		'old: '*)
			checked=$((checked + 1))
			count=$(grep -cF -- "${line#old: }" "$root/$file" 2>/dev/null)
			[ "${count:-0}" -eq 1 ] ||
				findings+="${findings:+$'\n'}${list#"$root"/}:1: $name: on ${count:-0} lines of $file"
			;;
		esac
	done <"$list"
done
house_finish mutations "$checked" "$findings"

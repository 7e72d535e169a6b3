#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# README.md keeps its word: nothing left to fill in, every file it quotes is quoted as it stands, every file and every
# command of ./dev it names exists.
#
# A quotation is a code block right behind a line `<!-- quote FILE -->`.
. "${0%/*}/lib.sh"
[ $# -eq 1 ] || house_usage
root=$1
readme=$root/README.md
[ -f "$readme" ] || house_finish readme 0 ''

check() {
	local file command
	grep -nF '@@' "$readme" | sed 's/^\([0-9]*\):/README.md:\1: left to fill in: /'
	for file in "${quoted[@]}"; do
		diff <(house_block "$readme" "<!-- quote $file -->") "$root/$file" >/dev/null 2>&1 ||
			echo "README.md:1: the block behind <!-- quote $file --> is not $file"
	done
	# Links to files of the tree.
	grep -oE '\]\([^)#]+' "$readme" | sed 's/^](//' | grep -v '^[a-z]*:' | sort -u | while read -r file; do
		[ -e "$root/$file" ] || echo "README.md:1: no such file: $file"
	done
	grep -oE '\./dev [a-z-]+' "$readme" | sort -u | while read -r _ command; do
		grep -q "^cmd_${command//-/_}()" "$root/dev" || echo "README.md:1: no such command: ./dev $command"
	done
}
mapfile -t quoted < <(sed -n 's/^<!-- quote \(.*\) -->$/\1/p' "$readme")
findings=$(check)
house_finish readme "${#quoted[@]}" "$findings"

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Words that must not be in the tree: notes to oneself, paths of one machine, hosts of package registries. (The patterns
# are written so that this file does not match itself.)
. "${0%/*}/lib.sh"
[ $# -eq 1 ] || house_usage
root=$1

notes='\b(TO[D]O|FIX[M]E|X[X]X|HAC[K])\b'
paths='(^|[^A-Za-z0-9_.])/(wor[k]|hom[e]/[a-z]|roo[t]/)'
hosts='(deb|ftp)[.]debian[.]org|snapshot[.]debian[.]org|pypi[.]org|pythonhosted[.]org|registry[.]npmjs|crates[.]io/api'
hosts+='|proxy[.]golang[.]org|rubygems[.]org|localhos[t]:[0-9]'
# Hosts that this very machine installs from, whatever they are called.
mine=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -oE 'https?://[^/ ]+' |
	sed -e 's|.*//||' -e 's|[.]|[.]|g' | sort -u | paste -sd'|' -)

mapfile -t files < <(house_files "$root" '*')
[ ${#files[@]} -gt 0 ] || house_finish words 0 ''
# Recorded data is as it was recorded: it may hold any word, but no path or host of ours.
mapfile -t written < <(printf '%s\n' "${files[@]}" | grep -v '^tests/data/')
findings=$(
	cd "$root" || exit 1
	[ ${#written[@]} -eq 0 ] || grep -nIE "$notes" -- /dev/null "${written[@]}"
	grep -nIE "$paths|$hosts${mine:+|$mine}" -- /dev/null "${files[@]}"
)
house_finish words "${#files[@]}" "$findings"

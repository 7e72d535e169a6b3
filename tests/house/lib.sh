# SPDX-License-Identifier: MIT
# What the structure tests share. Sourced by each: `check.sh ROOT` prints one line per finding, `file:line: what`, then
# a summary, and exits 1 if there was any finding or if nothing at all was looked at.
# shellcheck shell=bash

set -u
export LC_ALL=C

house_usage() {
	printf 'usage: %s ROOT\n' "${0##*/}" >&2
	exit 2
}

# house_files ROOT PATTERN...: the tree's files whose names match one of the patterns, relative to ROOT, sorted. Build
# directories do not count. A plain find, so that a copy without version control is checked just the same.
house_files() {
	local root=$1 pattern names=()
	shift
	for pattern; do
		names+=(-o -name "$pattern")
	done
	(cd "$root" && find . \( -path './build*' -o -name .git -o -path ./.cache \) -prune -o \
		-type f \( "${names[@]:1}" \) -print) | sed 's|^\./||' | sort
}

# house_finish WHAT CHECKED FINDINGS: the verdict. A check that saw nothing has not passed.
house_finish() {
	local what=$1 checked=$2 findings=$3 count=0
	if [ -n "$findings" ]; then
		printf '%s\n' "$findings"
		count=$(grep -c . <<<"$findings")
	fi
	printf '%s: %d checked, %d findings\n' "$what" "$checked" "$count"
	if [ "$checked" -eq 0 ]; then
		printf '%s: nothing to check is a failure\n' "$what"
		exit 1
	fi
	[ "$count" -eq 0 ] || exit 1
	exit 0
}

# house_block FILE LINE: the code block right behind the line LINE of a Markdown file.
house_block() {
	awk -v marker="$2" '
		$0 == marker { armed = 1; next }
		armed && /^```/ { if (inside) exit; inside = 1; next }
		inside { print; next }
		armed && NF { armed = 0 }' "$1"
}

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# No function over 60 lines, no file over 600, no line over 100 columns.
. "${0%/*}/lib.sh"
[ $# -eq 1 ] || house_usage
root=$1
function_lines=60
file_lines=600
columns=100

command -v ctags >/dev/null && ctags --version | grep '^Universal Ctags' >/dev/null || {
	echo "lengths: needs universal-ctags (./dev deps)"
	exit 1
}
mapfile -t code < <(house_files "$root" '*.c' '*.h')
mapfile -t scripts < <(house_files "$root" dev run '*.sh' '*.awk' CMakeLists.txt '*.cmake')
[ ${#code[@]} -gt 0 ] || house_finish lengths 0 ''

# A function is measured from its first line to its closing brace, Criterion's Test() bodies included.
long_functions() {
	ctags --languages=C --langmap=C:.c.h --kinds-C=f --fields=+ne -o - "${code[@]}" |
		awk -F '\t' -v limit=$function_lines '
		/^!_/ { next }
		{
			start = end = 0
			for (i = 4; i <= NF; i++) {
				if ($i ~ /^line:/)
					start = substr($i, 6)
				if ($i ~ /^end:/)
					end = substr($i, 5)
			}
			if (!end)
				printf "%s:%d: %s() has no end that ctags can see\n", $2, start, $1
			else if (end - start + 1 > limit)
				printf "%s:%d: %s() has %d lines\n", $2, start, $1, end - start + 1
		}'
}

# The same by looks alone (a brace in the first column opens a function, nothing else does), for what ctags overlooks.
long_bodies() {
	awk -v limit=$function_lines '
		FNR == 1 { start = 0 }
		/^{/ { start = FNR }
		/^}/ {
			if (start && FNR - start > limit)
				printf "%s:%d: a body of %d lines\n", FILENAME, start, FNR - start + 1
			start = 0
		}' "${code[@]}"
}

long_files() {
	awk -v limit=$file_lines '
		FNR == limit + 1 { printf "%s:%d: over %d lines\n", FILENAME, FNR, limit }' "${code[@]}" "${scripts[@]}"
}

# Columns with tabs of 8; strings that a line break would spoil are excused.
long_lines() {
	awk -v limit=$columns '
		{
			line = $0
			while ((at = index(line, "\t")))
				line = substr(line, 1, at - 1) substr("        ", 1 + (at - 1) % 8) substr(line, at + 1)
			if (length(line) > limit && line !~ /^ *"/)
				printf "%s:%d: %d columns\n", FILENAME, FNR, length(line)
		}' "${code[@]}"
}

findings=$(cd "$root" && { long_functions; long_bodies; long_files; long_lines; })
house_finish lengths $((${#code[@]} + ${#scripts[@]})) "$findings"

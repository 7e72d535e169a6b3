#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# report.sh BUILD_DIR ROOT [LEAST]: lines of src that ran in any of the instances of a file (a template has many), by file
# and in all; the lines that ran in none. Exit 1 when fewer than LEAST percent (92) ran.
set -euo pipefail
export LC_ALL=C
[ $# -ge 2 ] || {
	echo "usage: report.sh BUILD_DIR ROOT [LEAST]" >&2
	exit 2
}
build=$(realpath "$1")
root=$(realpath "$2")
least=${3:-92}

# gcov without options that write files: the annotated sources on its output, one after another.
annotated() {
	find "$build/CMakeFiles" "$build/src" -name '*.gcno' -print0 2>/dev/null |
		xargs -0 -r -n 16 gcov --stdout 2>/dev/null
}

annotated | awk -v root="$root/" -v least="$least" '
	# "        -:    0:Source:/there/src/base/bits.h", then a line for each line: count, number, text.
	/^ *-: *0:Source:/ {
		file = $0
		sub(/^[^S]*Source:/, "", file)
		counts = index(file, root "src/") == 1
		file = substr(file, length(root) + 1)
		next
	}
	!counts || !match($0, /^ *[^:]*: *[0-9]+:/) { next }
	{
		split($0, part, ":")
		gsub(/ /, "", part[1])
		gsub(/ /, "", part[2])
		if (part[1] == "-" || part[2] == 0)
			next
		if (!((file, part[2]) in ran)) {
			if (!(file in lines))
				name[++files] = file
			lines[file]++
			ran[file, part[2]] = 0
			if (part[2] + 0 > last[file])
				last[file] = part[2] + 0
		}
		if (part[1] !~ /^[#=]/)
			ran[file, part[2]] = 1
	}
	# "12-14, 20": lines of a file that never ran. Those between that hold no code go with them.
	function missed(file, i, from, to, text) {
		for (i = 1; i <= last[file] + 1; i++) {
			if ((file, i) in ran && !ran[file, i]) {
				from = from ? from : i
				to = i
			} else if (from && ((file, i) in ran || i > last[file])) {
				text = text (text ? ", " : "") (from == to ? from : from "-" to)
				from = 0
			}
		}
		return text
	}
	END {
		for (f = 2; f <= files; f++) {
			file = name[f]
			for (i = f; i > 1 && name[i - 1] > file; i--)
				name[i] = name[i - 1]
			name[i] = file
		}
		for (f = 1; f <= files; f++) {
			file = name[f]
			covered = 0
			for (i = 1; i <= last[file]; i++)
				covered += (file, i) in ran && ran[file, i]
			all += lines[file]
			all_covered += covered
			line = sprintf("%6.1f%%  %4d of %4d  %s", 100 * covered / lines[file], covered, lines[file], file)
			if (covered < lines[file])
				line = line "\n" sprintf("%24s%s", "", "not: " missed(file))
			print line | "cat"
		}
		close("cat")
		if (!all) {
			print "coverage: nothing was counted"
			exit 1
		}
		printf "coverage: %.2f%% of %d lines of src, %d not; at least %s%% are asked for\n", 100 * all_covered / all, all,
			all - all_covered, least
		exit 100 * all_covered < least * all
	}'

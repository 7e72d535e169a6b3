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

# gcov without options that write files: the annotated sources on its output, one after another. A compiler that was called
# with relative paths (a build through ccache) left such ones, from the build directory on.
annotated() {
	(cd "$build" && find CMakeFiles src -name '*.gcno' -print0 2>/dev/null |
		xargs -0 -r -n 16 gcov --stdout 2>/dev/null)
}

annotated | awk -v root="$root/" -v build="$build/" -v least="$least" '
	FILENAME != "-" {
		if (!/^#/ && split($0, cell, "\t") == 3) {
			reason_file[++reasons] = cell[1]
			reason_text[reasons] = cell[2]
			reason[reasons] = cell[3]
		}
		next
	}
	# "        -:    0:Source:/there/src/base/bits.h", then a line for each line: count, number, text.
	/^ *-: *0:Source:/ {
		file = $0
		sub(/^[^S]*Source:/, "", file)
		if (file !~ /^\//) {
			file = build file
			while (sub(/[^\/]+\/\.\.\//, "", file))
				;
		}
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
			text[file, part[2]] = $0
			sub(/^[^:]*:[^:]*:[ \t]*/, "", text[file, part[2]])
			if (part[2] + 0 > last[file])
				last[file] = part[2] + 0
		}
		if (part[1] !~ /^[#=]/)
			ran[file, part[2]] = 1
	}
	# The lines of a file that never ran, each with why, if tests/coverage/reasons.txt knows.
	function print_missed(file, i, r, why) {
		for (i = 1; i <= last[file]; i++) {
			if (!((file, i) in ran) || ran[file, i])
				continue
			why = ""
			for (r = 1; r <= reasons && !why; r++)
				if (file ~ ("^" reason_file[r] "$") && text[file, i] ~ reason_text[r])
					why = reason[r]
			unexplained += !why
			printf "%24s%d: %s%s\n", "", i, text[file, i], why ? "  <- " why : ""
		}
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
			printf "%6.1f%%  %4d of %4d  %s\n", 100 * covered / lines[file], covered, lines[file], file
			print_missed(file)
		}
		if (!all) {
			print "coverage: nothing was counted"
			exit 1
		}
		printf "coverage: %.2f%% of %d lines of src; %d not, %d of them without a reason; at least %s%% are asked for\n",
			100 * all_covered / all, all, all - all_covered, unexplained, least
		exit 100 * all_covered < least * all
	}' "$root/tests/coverage/reasons.txt" -

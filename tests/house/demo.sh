#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# demo.sh README COMMAND...: what README shows behind `<!-- output of the demo -->` is what COMMAND prints, line by line,
# but for lines about time: those only have to be there, whatever their numbers.
. "${0%/*}/lib.sh"
[ $# -ge 2 ] || {
	echo "usage: demo.sh README COMMAND..." >&2
	exit 2
}
readme=$1
shift

# Numbers of lines that speak of time become one mark; blanks are squeezed, since columns move with the numbers.
without_times() {
	sed -E '/( ns|ns |µs| us|ms|seconds|per second|faults\/s)/s/[0-9][0-9.,]*/N/g; s/[ \t]+/ /g; s/ $//'
}

said=$("$@") || {
	printf '%s\nexit %d\n' "$said" $?
	exit 1
}
shown=$(house_block "$readme" '<!-- output of the demo -->' | without_times)
[ -n "$shown" ] || {
	echo "$readme shows no output of the demo"
	exit 1
}
diff -u --label README <(printf '%s\n' "$shown") --label printed <(without_times <<<"$said")

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# output.sh PROGRAM LINE: PROGRAM succeeds, prints exactly LINE, and README.md shows the same line as its output.
. "${0%/*}/lib.sh"
[ $# -eq 2 ] || {
	echo "usage: output.sh PROGRAM LINE" >&2
	exit 2
}
readme=${0%/*}/../../README.md

said=$("$1") || {
	echo "$1: exit $?, said: $said"
	exit 1
}
[ "$said" = "$2" ] || {
	printf 'expected: %s\ngot:      %s\n' "$2" "$said"
	exit 1
}
grep -qFx -- "$2" "$readme" || {
	echo "README.md does not show: $2"
	exit 1
}

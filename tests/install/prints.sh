#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# prints.sh LINE PROGRAM [ARGUMENT...]: PROGRAM succeeds and prints exactly LINE.
set -u
[ $# -ge 2 ] || {
	echo "usage: prints.sh LINE PROGRAM [ARGUMENT...]" >&2
	exit 2
}
expected=$1
shift
said=$("$@") || {
	echo "$*: exit $?, said: $said"
	exit 1
}
[ "$said" = "$expected" ] || {
	printf 'expected: %s\ngot:      %s\n' "$expected" "$said"
	exit 1
}

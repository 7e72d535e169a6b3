#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# examples.sh ROOT: every public header but the one that includes all has an example that includes it or all of them, and
# says so in its first comment.
set -u
[ $# -eq 1 ] || {
	echo "usage: examples.sh ROOT" >&2
	exit 2
}
checked=0
failed=0
for header in "$1"/include/vmmu/*.h; do
	name=$(basename "$header" .h)
	[ "$name" != vmmu ] || continue
	checked=$((checked + 1))
	example=$1/examples/$name.c
	if ! [ -f "$example" ]; then
		echo "no examples/$name.c for include/vmmu/$name.h"
		failed=1
	elif ! sed -n 2p "$example" | grep -qF "/* vmmu/$name.h: " || ! grep -qE "#include <vmmu/($name|vmmu)\.h>" "$example"; then
		echo "examples/$name.c is not about vmmu/$name.h"
		failed=1
	elif ! grep -qE "^vmmu_example\($name " "$1/examples/CMakeLists.txt"; then
		echo "examples/$name.c is not run"
		failed=1
	fi
done
echo "examples: $checked headers"
[ $checked -gt 0 ] && exit $failed

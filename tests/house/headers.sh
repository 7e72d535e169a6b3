#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every public header compiles alone, twice in a row, as C11 and as C++17, with every compiler that is here.
. "${0%/*}/lib.sh"
[ $# -eq 1 ] || house_usage
root=$1
strict=(-Wall -Wextra -pedantic -Werror -fsyntax-only -I "$root/include")

mapfile -t headers < <(house_files "$root/include" '*.h')
checked=0
findings=
# compile HEADER COMPILER FLAG...
compile() {
	local header=$1 said
	shift
	said=$(printf '#include <%s>\n#include <%s>\nint nothing;\n' "$header" "$header" | "$@" "${strict[@]}" - 2>&1) ||
		findings+="include/$header:1: not alone with $*: $(grep -m1 error <<<"$said")"$'\n'
	checked=$((checked + 1))
}

c=0
cxx=0
for compiler in gcc clang; do
	command -v "$compiler" >/dev/null || continue
	c=$((c + 1))
	for header in "${headers[@]}"; do
		compile "$header" "$compiler" -x c -std=c11
	done
done
for compiler in g++ clang++; do
	command -v "$compiler" >/dev/null || continue
	cxx=$((cxx + 1))
	for header in "${headers[@]}"; do
		compile "$header" "$compiler" -x c++ -std=c++17
	done
done
if [ $c -eq 0 ] || [ $cxx -eq 0 ]; then
	echo "headers: needs a C and a C++ compiler (./dev deps)"
	exit 1
fi
house_finish headers "$checked" "${findings%$'\n'}"

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# symbols.sh LIBRARY ROOT: the shared library exports the functions that the public headers declare, under one version,
# and nothing else; cmake/libvmmu.map lists just these and man/libvmmu.3 speaks of each; the soname is the one that programs are promised.
set -u
export LC_ALL=C
[ $# -eq 2 ] || {
	echo "usage: symbols.sh LIBRARY ROOT" >&2
	exit 2
}
library=$1
root=$2
failed=0

# differ WHAT EXPECTED GOT: two lists, a name a line.
differ() {
	local only
	only=$(diff <(sort -u <<<"$2") <(sort -u <<<"$3") | grep '^[<>]') || return 0
	printf '%s (< missing, > too much):\n%s\n' "$1" "$only"
	failed=1
}

declared=$(cat "$root"/include/vmmu/*.h | awk -f "$root/tests/install/declared.awk")
marked=$(grep -h '^VMMU_API' "$root"/include/vmmu/*.h | wc -l)
[ "$(wc -l <<<"$declared")" -eq "$marked" ] || {
	echo "$marked declarations are marked VMMU_API, $(wc -l <<<"$declared") of them understood"
	failed=1
}
listed=$(sed -n 's/^\t\(vmmu_[a-z0-9_]*\);$/\1/p' "$root/cmake/libvmmu.map")
exported=$(nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }')
differ "cmake/libvmmu.map against the headers" "$declared" "$listed"
differ "exported against the headers" "$(sed 's/$/@@VMMU_0/' <<<"$declared")" "$exported"
for name in $declared; do
	grep -q "^\.BR $name ()$" "$root/man/libvmmu.3" || {
		echo "man/libvmmu.3 says nothing of $name()"
		failed=1
	}
done

soname=$(objdump -p "$library" | awk '$1 == "SONAME" { print $2 }')
[ "$soname" = libvmmu.so.0 ] || {
	echo "soname: $soname"
	failed=1
}
echo "symbols: $(wc -l <<<"$exported") exported"
exit $failed

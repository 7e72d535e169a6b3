#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# deb.sh ROOT OUT: build the Debian packages from a copy of the tree in OUT, take them apart again and use what is inside.
set -euo pipefail
[ $# -eq 2 ] || {
	echo "usage: deb.sh ROOT OUT" >&2
	exit 2
}
root=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
version=$(sed -n 's/^project(vmmu VERSION \([0-9.]*\) .*/\1/p' "$root/CMakeLists.txt")
packaged=$(sed -n '1s/^vmmu (\([^)]*\)).*/\1/p' "$root/debian/changelog")
[ "$version" = "$packaged" ] || {
	echo "deb: CMakeLists.txt says version $version, debian/changelog $packaged"
	exit 1
}

copy=$out/vmmu-$version
rm -rf "$copy" "$out"/unpacked "$out"/*.deb "$out"/*.buildinfo "$out"/*.changes
mkdir "$copy"
tar -C "$root" --exclude=./.git --exclude='./build*' -cf - . | tar -C "$copy" -xf -
(cd "$copy" && DEB_BUILD_OPTIONS="nocheck parallel=${VMMU_JOBS:-$(nproc)}" dpkg-buildpackage -b -us -uc) \
	>"$out/build.log" 2>&1 || {
	tail -40 "$out/build.log"
	exit 1
}
rm -rf "$copy"

for package in libvmmu0 libvmmu-dev vmmu; do
	dpkg-deb -x "$out/${package}_${version}_"*.deb "$out/unpacked"
done
library=$(dirname "$(find "$out/unpacked" -name libvmmu.so.0)")
LD_LIBRARY_PATH=$library "$out/unpacked/usr/bin/vmmu" formats | grep '^ept4 ' >/dev/null
cc -std=c17 -I "$out/unpacked/usr/include" "$root/examples/embed.c" -L "$library" -lvmmu -o "$out/unpacked/embed"
LD_LIBRARY_PATH=$library "$root/tests/install/prints.sh" "gpa 0x5123 is at hpa 0x1005123" "$out/unpacked/embed"
rm -rf "$out/unpacked"
if command -v lintian >/dev/null; then
	lintian --allow-root --tag-display-limit 0 "$out"/*.changes || true
fi
ls -1 "$out"/*.deb

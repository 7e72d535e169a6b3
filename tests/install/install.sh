#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# install.sh BUILD_DIR ROOT: install into a scratch prefix, move it elsewhere, and use it as somebody would who has
# nothing else: examples in C and C++, by pkg-config and by find_package; the command and its manual page.
set -euo pipefail
[ $# -eq 2 ] || {
	echo "usage: install.sh BUILD_DIR ROOT" >&2
	exit 2
}
build=$1
root=$2
expected="gpa 0x5123 is at hpa 0x1005123"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# check PROGRAM: it prints what the example prints, with the library of the prefix.
check() {
	LD_LIBRARY_PATH=$libdir "$root/tests/install/prints.sh" "$expected" "$1"
	echo "install: ${1##*/}"
}

cmake --install "$build" --prefix "$scratch/first" >"$scratch/log"
mv "$scratch/first" "$scratch/prefix"
prefix=$scratch/prefix
libdir=$(dirname "$(find "$prefix" -name 'libvmmu.so.0')")
export PKG_CONFIG_PATH=$libdir/pkgconfig

# Quotes would keep pkg-config's words together.
# shellcheck disable=SC2046
{
	cc -std=c17 "$root/examples/embed.c" $(pkg-config --cflags --libs vmmu) -o "$scratch/pkg-config-c"
	c++ -std=c++17 "$root/examples/embed.cc" $(pkg-config --cflags --libs vmmu) -o "$scratch/pkg-config-cc"
	cc -std=c17 "$root/examples/embed.c" $(pkg-config --cflags vmmu) "$libdir/libvmmu.a" \
		$(pkg-config --static --libs vmmu | sed 's/-lvmmu//') -o "$scratch/pkg-config-static"
}
cmake -S "$root/tests/install/consumer" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$prefix" \
	-DEXAMPLES="$root/examples" >>"$scratch/log" 2>&1 || {
	cat "$scratch/log"
	exit 1
}
cmake --build "$scratch/build" >>"$scratch/log"
for program in "$scratch"/pkg-config-{c,cc,static} "$scratch"/build/consumer-{c,cc,static}; do
	check "$program"
done
# The shared ones are that: they need the library by its soname, and the static ones do not.
objdump -p "$scratch/pkg-config-c" "$scratch/build/consumer-cc" | grep -c 'NEEDED *libvmmu.so.0' | grep -qx 2
if objdump -p "$scratch/pkg-config-static" "$scratch/build/consumer-static" | grep 'NEEDED *libvmmu'; then
	echo "install: a static program needs the shared library"
	exit 1
fi

for file in bin/vmmu share/man/man1/vmmu.1 share/man/man3/libvmmu.3 share/bash-completion/completions/vmmu; do
	[ -s "$prefix/$file" ] || {
		echo "not installed: $file"
		exit 1
	}
done
LD_LIBRARY_PATH=$libdir "$prefix/bin/vmmu" formats | grep '^ept4 ' >/dev/null
# trace.dat files are read where the program for them was built: found beside the command, wherever that is.
if [ -e "$build/vmmu-trace-dat" ]; then
	LD_LIBRARY_PATH=$libdir "$prefix/bin/vmmu" replay "$root/tests/data/traces/x86-linux6.1-600.trace.dat" |
		grep '600 lines, 600 events' >/dev/null
	echo "install: trace.dat"
fi
# Nothing that was installed knows where it was built or first put.
if grep -rlF -e "$scratch/first" "$prefix/include" "$prefix/share" "$libdir/cmake" "$libdir/pkgconfig"; then
	echo "install: these files know where they were first put"
	exit 1
fi
echo "install: moved prefix, command, manual pages, completion"

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The structure tests can fail: each is shown a small sound tree, then the same tree with one thing wrong.
. "${0%/*}/lib.sh"
here=$(cd "${0%/*}" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tree=$scratch/tree
cases=0
failures=0

# write FILE LINE...: into the tree.
write() {
	local file=$tree/$1
	shift
	mkdir -p "$(dirname "$file")"
	printf '%s\n' "$@" >"$file"
}

# A tree that every check likes.
plant_sound_tree() {
	rm -rf "$tree"
	write src/base/bits.h 'int bits;'
	write src/base/sync.c '#include <urcu/urcu-memb.h>' '#include "base/bits.h"'
	write src/base/mem.c '#include <jemalloc/jemalloc.h>'
	write src/format/ept4.c '#include <stdint.h>' '#define FMT_HEADER "format/ept.h"' '#include FMT_HEADER'
	write src/spte/spte.h '#include "walker/tree.h"' '#include "spte.h"'
	write src/walker/tree.h '#include "spte/spte.h"' '#include "base/bits.h"'
	write src/engine/vm.c '#include "rmap/rmap.h"' '#include <vmmu/event.h>' 'int vm(void)' '{' '	return 0;' '}'
	write src/hw/walk.c '#include <vmmu/types.h>' '#include "base/bits.h"' '#include "hw/tlb.h"'
	write include/vmmu/event.h '#ifndef E' '#define E' '#include <stdint.h>' '#include <vmmu/types.h>' \
		'static inline uint32_t event(void) { return 1; }' '#endif'
	write include/vmmu/types.h '#ifndef T' '#define T' 'struct vmmu_vm;' '#endif'
	write tools/vmmu/main.c '#include <vmmu/event.h>' '#include "options.h"'
	write tests/base/bits_test.c '#include "base/bits.h"' '#include "tests/help.h"'
	write examples/embed.c 'int main(void) { return 0; }'
	write dev 'cmd_demo() {' '	:' '}'
	write README.md '# vmmu' 'Run `./dev demo`, read [the example](examples/embed.c).' '' \
		'<!-- quote examples/embed.c -->' '' '```c' 'int main(void) { return 0; }' '```'
}

fail() {
	failures=$((failures + 1))
	printf 'FAIL %s\n' "$*"
}

sound() {
	local said
	cases=$((cases + 1))
	plant_sound_tree
	said=$("$here/$1.sh" "$tree") || fail "$1 dislikes a sound tree: $said"
}

# wrong CHECK FINDING: CHECK must fail on the tree as it stands now, with FINDING in what it says. Mends the tree.
wrong() {
	local said status
	cases=$((cases + 1))
	said=$("$here/$1.sh" "$tree")
	status=$?
	if [ $status -ne 1 ]; then
		fail "$1 exits $status where it should find: $2"
	elif ! grep -qF -- "$2" <<<"$said"; then
		fail "$1 should find: $2; it said: $said"
	fi
	plant_sound_tree
}

repeat() {
	local n
	for ((n = 0; n < $1; n++)); do
		printf '%s\n' "$2"
	done
}

sound includes
write src/base/bits.h '#include "format/ept.h"'
wrong includes 'src/base/bits.h:1: upward include: base (floor 0) includes format (floor 1)'
write src/walker/tree.h '#include "base/bits.h"' '#  include <memory/slots.h>'
wrong includes 'src/walker/tree.h:2: upward include: walker (floor 2) includes memory (floor 3)'
write src/faults/map.c '#include "engine/vm.h"'
wrong includes 'upward include: faults (floor 4) includes engine (floor 5)'
write src/engine/vm.c '#include "tracing/replay.h"'
wrong includes 'upward include: engine (floor 5) includes tracing (floor 6)'
write src/rmap/rmap.h '#include "../faults/map.h"'
wrong includes 'relative path: ../faults/map.h'
write src/format/x.c '#define IMPL_HEADER "engine/impl.h"' '#include IMPL_HEADER'
wrong includes 'src/format/x.c:1: upward include'
write src/format/x.c '#define IMPL "engine/impl.h"' '#include IMPL'
wrong includes 'src/format/x.c:2: include by a macro'
write src/attic/x.c 'int x;'
wrong includes 'no such room: src/attic'
write src/base/x.c '#include "attic/x.h"'
wrong includes 'no such room: attic/x.h'
write src/hw/walk.c '#include "format/ept.h"'
wrong includes 'src/hw stands alone: hw includes format'
write src/hw/walk.c '#include "spte/spte.h"'
wrong includes 'src/hw stands alone: hw includes spte'
write src/hw/walk.c 'int x = vmmu_entry_read(f, 0, 1, &e);'
wrong includes 'reads entries by the manual'
write src/faults/map.c '#include "hw/tlb.h"'
wrong includes 'src/hw stands alone: faults includes hw'
write src/memory/slots.c '#include <urcu/urcu-memb.h>'
wrong includes 'liburcu is src/base/sync.c and sync_reader.h alone'
write tests/base/race.c '#include <urcu.h>'
wrong includes 'liburcu is src/base/sync.c and sync_reader.h alone'
write src/base/sync.c '#include <jemalloc/jemalloc.h>'
wrong includes 'jemalloc is src/base/mem.c alone'
write include/vmmu/event.h '#include "base/bits.h"'
wrong includes 'a public header includes public headers'
write tools/vmmu/main.c '#include "memory/slots.h"'
wrong includes 'only the public API from here: memory/slots.h'
write examples/embed.c '#include <base/bits.h>'
wrong includes 'only the public API from here: base/bits.h'
rm -r "$tree" && mkdir "$tree"
wrong includes 'nothing to check'

sound lengths
write src/engine/vm.c 'int vm(void)' '{' "$(repeat 57 '	vm();')" '}'
"$here/lengths.sh" "$tree" >/dev/null || fail 'lengths dislikes a function of 60 lines'
write src/engine/vm.c 'int vm(void)' '{' "$(repeat 58 '	vm();')" '}'
wrong lengths 'src/engine/vm.c:1: vm() has 61 lines'
write src/base/long.h 'static inline int' 'vm(void)' '{' "$(repeat 58 '	vm();')" '}'
wrong lengths 'vm() has 61 lines'
write tests/base/bits_test.c 'Test(bits, all__zero)' '{' "$(repeat 58 '	vm();')" '}'
wrong lengths 'tests/base/bits_test.c:1: Test() has 61 lines'
write tests/base/bits_test.c 'WHATEVER(bits) = OTHER' '{' "$(repeat 60 '	vm();')" '}'
wrong lengths 'a body of 62 lines'
write src/base/long.h "$(repeat 600 'int x;')"
"$here/lengths.sh" "$tree" >/dev/null || fail 'lengths dislikes a file of 600 lines'
write src/base/long.h "$(repeat 600 'int x;')" 'int x;'
wrong lengths 'src/base/long.h:601: over 600 lines'
write dev "$(repeat 601 ':')"
wrong lengths 'dev:601: over 600 lines'
write src/base/wide.h '' "$(printf '\tint x;%81s/* */' '')"
"$here/lengths.sh" "$tree" >/dev/null || fail "lengths dislikes 100 columns"
write src/base/wide.h '' "$(printf '\tint x;%82s/* */' '')"
wrong lengths 'src/base/wide.h:2: 101 columns'

write tests/mutations/x.txt 'name: gone' 'file: src/base/bits.h' 'old: no such text anywhere' 'new: x'
wrong mutations 'tests/mutations/x.txt:1: gone: on 0 lines of src/base/bits.h'

# The words are put together here, lest this file be found to hold them.
sound words
write src/base/bits.h "/* TO""DO: later */"
wrong words 'src/base/bits.h:1:'
write docs/x.md "FIX""ME"
wrong words 'docs/x.md:1:'
write dev "# X""XX"
wrong words 'dev:1:'
write CMakeLists.txt "# HA""CK"
wrong words 'CMakeLists.txt:1:'
write docs/x.md 'fine' "in /wor""k/here"
wrong words 'docs/x.md:2:'
write tests/data/trace.txt "/hom""e/me/trace"
wrong words 'tests/data/trace.txt:1:'
write dev "curl deb.""debian.org/x"
wrong words 'dev:1:'
write tests/data/trace.txt "TO""DO is what it was"
"$here/words.sh" "$tree" >/dev/null || fail 'words dislikes recorded data'

sound headers
write include/vmmu/event.h 'struct vmmu_event { uint64_t gpa; };'
wrong headers 'include/vmmu/event.h:1: not alone with'
write include/vmmu/event.h 'struct vmmu_event { int gpa; };'
wrong headers 'include/vmmu/event.h:1: not alone with'
write include/vmmu/event.h '#ifndef E' '#define E' 'static inline int *event(void *p) { return p; }' '#endif'
wrong headers '-x c++ -std=c++17'
write include/vmmu/event.h '#ifndef E' '#define E' 'static inline int f(int a, int b) { return a; }' '#endif'
wrong headers '-x c -std=c11'

sound readme
write examples/embed.c 'int main(void) { return 1; }'
wrong readme 'the block behind <!-- quote examples/embed.c -->'
rm "$tree/examples/embed.c"
wrong readme 'no such file: examples/embed.c'
echo '@@ output of the demo @@' >>"$tree/README.md"
wrong readme 'left to fill in'
echo 'then ./dev dance' >>"$tree/README.md"
wrong readme 'no such command: ./dev dance'
write README.md '# vmmu'
wrong readme 'nothing to check'

# comments.awk, by hand: the long one moves up and is broken, the list item hangs, its output is its fixed point.
cases=$((cases + 1))
words=$(printf 'word %.0s' {1..16})
write src/base/wide.h "	int x; /* ${words}ten. */" '/*' " *   -EINVAL  ${words}ten more" ' *            far' ' */' \
	'int y; /* short */' "/* ${words}${words} */" '/* one' ' * two */'
awk -f "$here/comments.awk" "$tree/src/base/wide.h" >"$scratch/once"
awk -f "$here/comments.awk" "$scratch/once" >"$scratch/twice"
write expected "	/* ${words}ten. */" '	int x;' \
	'/*' " *   -EINVAL  ${words}ten" ' *            more far' ' */' 'int y; /* short */' \
	'/*' " * ${words}word word word" " * ${words:0:64}" ' */' '/*' ' * one' ' * two' ' */'
cmp "$scratch/once" "$scratch/twice" || fail 'comments.awk is not done after one go'
diff "$tree/expected" "$scratch/once" || fail 'comments.awk breaks lines differently'

# demo.sh: times may differ, nothing else may.
report() {
	printf '%s\n' "faults   1263" "digest   $1" "p50      $2 ns"
}
# shown STATUS REPORT...: demo.sh on a README that shows report 12ab 250.
shown() {
	cases=$((cases + 1))
	"$here/demo.sh" "$tree/README.md" printf '%s\n' "$(report "${@:2}")" >/dev/null
	[ $? -eq "$1" ] || fail "demo.sh should exit $1 for: ${*:2}"
}
write README.md '<!-- output of the demo -->' '' '```text' "$(report 12ab 250)" '```'
shown 0 12ab 250
shown 0 12ab 1900.5
shown 1 12ac 250
write README.md 'nothing'
shown 1 12ab 250
"$here/demo.sh" "$tree/README.md" false >/dev/null && fail 'demo.sh overlooks a failing command'

printf 'selftest: %d cases, %d failures\n' "$cases" "$failures"
[ "$cases" -gt 40 ] && [ "$failures" -eq 0 ]

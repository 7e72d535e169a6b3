#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The mutation harness tells killed from survived, and notices entries that are stale or broken: shown on a project of
# one function and one test.
. "${0%/*}/lib.sh"
here=$(cd "${0%/*}" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

mkdir -p "$scratch/tests/mutations"
cp "$here/../mutations/run.sh" "$here/../mutations/lib.sh" "$scratch/tests/mutations/"
cat >"$scratch/CMakeLists.txt" <<'EOT'
cmake_minimum_required(VERSION 3.25)
project(small C)
enable_testing()
add_executable(small small.c)
add_test(NAME small COMMAND small)
add_test(NAME style COMMAND grep -q "spare = 1" ${CMAKE_SOURCE_DIR}/small.c)
set_tests_properties(style PROPERTIES LABELS house)
EOT
cat >"$scratch/CMakePresets.json" <<'EOT'
{ "version": 6, "configurePresets": [ { "name": "mutate", "binaryDir": "${sourceDir}/build" } ] }
EOT
cat >"$scratch/small.c" <<'EOT'
static int twice(int x)
{
	return x + x; /* "a\b" & */
}
_Static_assert(sizeof(long) >= 4, "small");
int main(void)
{
	int spare = 1, other = 1;
	return twice(2) == 4 && spare && other ? 0 : 1;
}
EOT
cp "$scratch/small.c" "$scratch/small.c.before"

# entry NAME OLD NEW [TESTS]: the list is this one entry.
entry() {
	printf 'name: %s\nfile: small.c\nold: %s\nnew: %s\n%s' "$1" "$2" "$3" "${4:+tests: $4$'\n'}" \
		>"$scratch/tests/mutations/list.txt"
}

# expect STATUS TEXT [ARGUMENT...]: of a run of the harness.
expect() {
	local status=$1 text=$2 said got
	shift 2
	said=$("$scratch/tests/mutations/run.sh" "$@" 2>&1)
	got=$?
	if [ $got -ne "$status" ] || ! grep -q -- "$text" <<<"$said"; then
		failures=$((failures + 1))
		printf 'FAIL expected %d and "%s", got %d:\n%s\n' "$status" "$text" "$got" "$said"
	fi
}

entry killed 'return x + x; /* "a\b" & */' 'return x * 3; /* & \1 */' small
expect 0 '^killed  *killed  *small$'
entry survivor 'spare = 1' 'spare = 7'
expect 1 '^survivor  *survived'
entry twice ' = 1' ' = 2'
expect 1 'old text not exactly once'
entry stale 'return y' 'return x'
expect 1 'old text not exactly once'
entry nonsense 'return x + x;' 'return x +;'
expect 1 'does not build'
entry asserted '>= 4' '>= 4000'
expect 0 'killed  *a static assertion'
entry renamed 'x + x' 'x - x' no-such-test
expect 1 'unknown tests'
expect 2 'no entry called absent' absent
entry half 'x + x' ''
sed -i /^new:/d "$scratch/tests/mutations/list.txt"
expect 2 'lacks file, old or new'
entry fine 'x + x' 'x - x'
sed -i 's/== 4/== 5/' "$scratch/small.c"
expect 2 'tests fail without any mutation'
cp "$scratch/small.c.before" "$scratch/small.c"
expect 0 '1 mutations, 1 killed, 0 not'
cmp -s "$scratch/small.c" "$scratch/small.c.before" || {
	echo 'FAIL the harness wrote into the tree'
	failures=$((failures + 1))
}

printf 'mutate selftest: %d failures\n' "$failures"
[ "$failures" -eq 0 ]

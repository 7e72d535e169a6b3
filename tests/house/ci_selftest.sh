#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# .ci/run counts right, stops at the first red stage, and ends one that hangs: shown with a ./dev that only pretends.
. "${0%/*}/lib.sh"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

mkdir "$scratch/.ci"
# One second for the stage that will hang.
sed 's|^stage [0-9]* ./dev test sanitize|stage 1 ./dev test sanitize|' "${0%/*}/../../.ci/run" >"$scratch/.ci/run"
cat >"$scratch/dev" <<'EOT'
#!/usr/bin/env bash
case "$*" in
"test gcc")
	echo "100% tests passed, 0 tests failed out of 7"
	echo "	 12 - traces (Skipped)"
	;;
"test sanitize")
	[ "$PRETEND" != hang ] || sleep 30
	[ "$PRETEND" != red ] || { echo "60% tests passed, 2 tests failed out of 5"; exit 8; }
	echo "100% tests passed, 0 tests failed out of 5"
	;;
stress*) [ "$PRETEND" != odd ] || { echo "100% tests passed, 0 tests failed out of 3"; exit 1; } ;;
esac
EOT
chmod +x "$scratch/.ci/run" "$scratch/dev"

# expect PRETEND STATUS LAST-LINE
expect() {
	local said status
	said=$(PRETEND=$1 "$scratch/.ci/run" 2>&1)
	status=$?
	if [ $status -ne "$2" ] || [ "$(tail -n 1 <<<"$said")" != "$3" ]; then
		failures=$((failures + 1))
		printf 'FAIL %s: expected %d and "%s", got %d:\n%s\n' "$1" "$2" "$3" "$status" "$said"
	fi
}

# deps, lint, stress, demo and fuzz count as one each; seven tests less a skipped one, and five.
expect green 0 '16 passed, 0 failed'
expect red 1 '11 passed, 2 failed'
expect hang 1 '8 passed, 1 failed'
# All tests passed and the stage failed nevertheless: that is a failure of its own.
expect odd 1 '16 passed, 1 failed'

total=$(sed -n 's/^stage \([0-9]*\) .*/\1/p' "${0%/*}/../../.ci/run" | awk '{ n += $1 } END { print n + 0 }')
if [ "$total" -eq 0 ] || [ "$total" -gt 1800 ]; then
	failures=$((failures + 1))
	echo "FAIL the stages may take $total s, 1800 are allowed"
fi
printf 'ci selftest: %d failures\n' "$failures"
[ "$failures" -eq 0 ]

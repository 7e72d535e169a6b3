# SPDX-License-Identifier: MIT
# What everybody shares who breaks copies of the tree: tests/mutations/run.sh and fuzz/planted.sh. Sourced, with $top set
# to the tree.
# shellcheck shell=bash disable=SC2154

# parse LIST...: one line per entry, `name TAB file TAB tests TAB old TAB new`, tabs of the texts as \x01.
parse() {
	awk '
	function flush_entry() {
		if (name == "")
			return
		if (file == "" || old == "" || !has_new) {
			printf "%s: entry %s lacks file, old or new\n", FILENAME, name >"/dev/stderr"
			broken = 1
		}
		if (name in seen) {
			printf "%s: two entries are called %s\n", FILENAME, name >"/dev/stderr"
			broken = 1
		}
		seen[name] = 1
		printf "%s\t%s\t%s\t%s\t%s\n", name, file, tests, old, new
		name = file = tests = old = new = ""
		has_new = 0
	}
	/^#/ || /^[ \t]*$/ { next }
	{
		key = $0
		sub(/:.*/, "", key)
		value = substr($0, length(key) + 2)
		sub(/^ /, "", value)
		gsub(/\t/, "\001", value)
	}
	key == "name" { flush_entry(); name = value; next }
	key == "file" { file = value; next }
	key == "tests" { tests = value; next }
	key == "old" { old = value; next }
	key == "new" { new = value; has_new = 1; next }
	{ printf "%s:%d: unknown: %s\n", FILENAME, FNR, $0 >"/dev/stderr"; broken = 1 }
	END { flush_entry(); exit broken }' "$@"
}

# sync_tree TO: make TO a copy of the tree; files that are the same keep their time, so that builds stay incremental.
sync_tree() {
	local to=$1 file
	mkdir -p "$to"
	(cd "$top" && find . \( -path './build*' -o -name .git -o -path ./.cache \) -prune -o -type f -print0) |
		while IFS= read -r -d '' file; do
			cmp -s "$top/$file" "$to/$file" || {
				mkdir -p "$(dirname "$to/$file")"
				cp -p "$top/$file" "$to/$file"
				touch "$to/$file"
			}
		done
	(cd "$to" && find . -path ./build -prune -o -type f -print0) | while IFS= read -r -d '' file; do
		[ -e "$top/$file" ] || rm -f "$to/$file"
	done
}

# mutate_file FILE OLD NEW: replace, in place; fails unless OLD stands exactly once.
mutate_file() {
	OLD=$2 NEW=$3 awk '
	BEGIN { old = ENVIRON["OLD"]; gsub(/\001/, "\t", old); new = ENVIRON["NEW"]; gsub(/\001/, "\t", new) }
	{
		out = ""
		rest = $0
		while ((at = index(rest, old))) {
			out = out substr(rest, 1, at - 1) new
			rest = substr(rest, at + length(old))
			count++
		}
		print out rest
	}
	END { exit count != 1 }' "$1" >"$1.mutated" || {
		rm -f "$1.mutated"
		return 1
	}
	mv "$1.mutated" "$1"
}

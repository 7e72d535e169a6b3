#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Include direction: a floor includes only what is on its own floor or below. docs/design.md says why.
. "${0%/*}/lib.sh"
[ $# -eq 1 ] || house_usage
root=$1

mapfile -t files < <(house_files "$root" '*.c' '*.h')
[ ${#files[@]} -gt 0 ] || house_finish includes 0 ''

findings=$(cd "$root" && awk '
BEGIN {
	# The house, floor by floor. hw is not in it: it shares nothing with the engine but base.
	floor["base"] = 0
	floor["format"] = 1
	floor["spte"] = floor["walker"] = 2
	floor["memory"] = floor["rmap"] = 3
	floor["faults"] = floor["range"] = floor["shadow"] = 4
	floor["engine"] = 5
	floor["tracing"] = floor["machine"] = 6
}
function finding(what) {
	printf "%s:%d: %s\n", FILENAME, FNR, what
}
# Where the file stands: a room of src, "hw", "public" (include/), "outside" (users of the public headers), "free" (tests,
# and the example that brings a format of its own, which is built on the templates).
function place_of(path, part) {
	split(path, part, "/")
	if (part[1] == "src")
		return part[2]
	if (part[1] == "include")
		return "public"
	if (path ~ /^examples\/format\//)
		return "free"
	return part[1] == "tools" || part[1] == "examples" ? "outside" : "free"
}
function is_room(name) {
	return name == "hw" || (name in floor)
}
function check_room(to, in_tree) {
	if (place == "hw" || to == "hw") {
		if (to != place && to != "base")
			finding("src/hw stands alone: " place " includes " to)
	} else if (floor[to] > floor[place]) {
		finding("upward include: " place " (floor " floor[place] ") includes " to " (floor " floor[to] ")")
	}
}
function check_target(target, quoted, part, to) {
	split(target, part, "/")
	to = index(target, "/") ? part[1] : ""
	if (target ~ /(^|\/)\.\.?\//)
		finding("relative path: " target)
	if (target ~ /^urcu/ && FILENAME != "src/base/sync.c" && FILENAME != "src/base/sync_reader.h")
		finding("liburcu is src/base/sync.c and sync_reader.h alone")
	if (target ~ /^jemalloc/ && FILENAME != "src/base/mem.c")
		finding("jemalloc is src/base/mem.c alone")
	if (place == "free" || to == "vmmu")
		return
	if (place == "public") {
		if (quoted || is_room(to))
			finding("a public header includes public headers and the C library alone: " target)
	} else if (place == "outside") {
		if (is_room(to))
			finding("only the public API from here: " target)
	} else if (is_room(to)) {
		check_room(to)
	} else if (quoted && to != "") {
		finding("no such room: " target)
	}
}
FNR == 1 {
	place = place_of(FILENAME)
	if (FILENAME ~ /^src\// && !is_room(place))
		finding("no such room: src/" place)
}
# A template names its format by a macro: what it expands to stands in a #define, which is checked instead.
/^[ \t]*#[ \t]*(include|define[ \t]+[A-Z_]+_HEADER)[ \t]/ {
	line = $0
	sub(/^[ \t]*#[ \t]*(include|define[ \t]+[A-Z_]+_HEADER)[ \t]*/, "", line)
	if (line ~ /^"/)
		check_target(substr(line, 2, index(substr(line, 2), "\"") - 1), 1)
	else if (line ~ /^</)
		check_target(substr(line, 2, index(line, ">") - 2), 0)
	else if (place != "free" && line !~ /^[A-Z_]+_HEADER([^A-Za-z0-9_]|$)/)
		finding("include by a macro that is not called *_HEADER")
}
# The model of the hardware must not decode by the code it is there to check.
place == "hw" && /(^|[^A-Za-z0-9_])(fmt_[a-z]|vmmu_entry_read|format_ops)/ {
	finding("src/hw stands alone: it reads entries by the manual, not by a format")
}
' "${files[@]}")
house_finish includes "${#files[@]}" "$findings"

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# laws.sh TREE: docs/formats.md lists the laws that the conformance check knows, all of them and no others.
set -u
[ $# -eq 1 ] || {
	echo "usage: laws.sh TREE" >&2
	exit 2
}
families='info|ops|geometry|values|states|leaves|changes|mmio'
# In the source a law is one string, perhaps in two pieces on two lines.
known=$(cat "$1"/src/format/conformance*.c | tr '\n' ' ' | sed 's/"[[:space:]]*"//g' |
	grep -oE "\"($families): [^\"]*\"" | tr -d '"' | sort -u)
listed=$(grep -oE "^\* \`($families): [^\`]*\`" "$1/docs/formats.md" | sed "s/^\* .//; s/.\$//" | sort)
[ -n "$known" ] || {
	echo "no law found in the source"
	exit 1
}
diff <(echo "$known") <(echo "$listed") || {
	echo "docs/formats.md (>) lists other laws than the source (<)"
	exit 1
}

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# completion.sh COMMAND ROOT: completion offers the commands and options that --help lists, all of them and no others.
set -u
export LC_ALL=C
[ $# -eq 2 ] || {
	echo "usage: completion.sh COMMAND ROOT" >&2
	exit 2
}
command=$1
root=$2
failed=0
PATH=$(dirname "$command"):$PATH
# shellcheck source=/dev/null
. "$root/completion/vmmu"

# offered WORD...: what completing the last word gives, one a line.
offered() {
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	_vmmu
	printf '%s\n' "${COMPREPLY[@]}" | sort
}

# same WHAT EXPECTED GOT
same() {
	[ "$2" != "$3" ] || return 0
	printf '%s:\n%s\n' "$1" "$(diff <(echo "$2") <(echo "$3"))"
	failed=1
}

# What a --help lists: each option at the beginning of its line, long and short.
listed() {
	"$command" "$1" --help | sed -nE 's/^ {1,6}((-[^ -], )?--[a-z-]+).*/\1/p' | tr -d ' ' | tr ',' '\n' | sort
}

commands=$("$command" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | sort)
[ -n "$commands" ] || failed=1
same "commands" "$(printf '%s\n' "$commands" --help --version | sort)" "$(offered vmmu '')"
for name in $commands; do
	options=$(listed "$name")
	same "options of $name" "$options" "$(offered vmmu "$name" -)"
done
formats=$("$command" formats | awk '/^[a-z]/ { print $1 }' | sort)
same "formats" "$formats" "$(offered vmmu replay --format = '')"
same "one format" "ept5" "$(offered vmmu walk -f ept5)"
same "sizes" "$(printf '%s\n' 1g 2m 4k auto)" "$(offered vmmu replay --backing = '')"
same "files" "$root/man/vmmu.1" "$(offered vmmu replay "$root/man/vmmu.")"
exit $failed

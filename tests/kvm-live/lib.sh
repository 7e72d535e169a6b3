# SPDX-License-Identifier: MIT
# What live.sh and compare.sh share. Sourced.
# shellcheck shell=bash

# The options that configuration $1 wants of a replay.
options() {
	case $1 in
	direct) echo --mode direct ;;
	tdp) echo --mode tdp ;;
	tdp-nx) echo --mode tdp --nx-huge ;;
	esac
}

# The number behind "KEY": in the object "all" of the JSON on stdin.
number() {
	sed -n '/"all":/,/}/s/^ *"'"$1"'": *\([0-9]*\).*/\1/p'
}

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# live.sh COMMAND ROOT [OPTION...] [SCRIPT...]: have a real KVM run scripts, in an emulated machine, and hold what it did
# against the engine: `vmmu replay --compare` of what was recorded. Use `./dev kvm-live`; --help tells the rest.
#
# Exit: 0 everything agrees; 1 something differs; 2 usage, or nothing could be recorded.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

die() {
	printf 'kvm-live: %s\n' "$*" >&2
	exit 2
}

usage() {
	cat <<-'TEXT'
		usage: ./dev kvm-live [OPTION...] [SCRIPT...]
		Record what a real KVM does with scripts (default: all of tests/kvm-live/scripts that suit it) and compare.

		  --arch NAME      x86 (default), arm64 or riscv64: that machine, emulated whole
		  --config NAME    tdp (default), tdp-nx or direct on x86; several times: one after another; all.
		                   arm64 has stage2 alone, riscv64 gstage
		  --release NAME   the kernel of another Debian release, as trixie or sid; several times
		  --random N       N random scripts instead
		  --seed S         of the first of them (default 1); script S + i is the same on every machine
		  --out DIR        where recordings go (default build-kvm-live)
		Environment: KVM_LIVE_CACHE, where kernels are kept; KVM_LIVE_TIMEOUT, seconds for a run (300).
	TEXT
}

# Hold recording $2 in folder $1, of configuration $3 on the kernel $4, against the engine; a row of the table.
compare() {
	local dir=$1 name=$2 config=$3 kernel=$4 version json options total agree explained verdict=0
	read -ra options <<<"$(options "$config")"
	version=$(cut -d . -f 1,2 <<<"$kernel")
	# Of other versions the trace itself tells what they are most like.
	! "$command" formats | grep "kvm-$version " >/dev/null || options+=(--kvm "$version")
	options+=(--layout "$dir/$name.slots.txt" "$dir/$name.tracefs.txt")
	json=$("$command" replay --compare --json "${options[@]}" 2>"$dir/$name.errors") || verdict=1
	total=$(number total <<<"$json") agree=$(number agree <<<"$json") explained=$(number explained <<<"$json")
	printf '| %s | %s | %s | %d | %d | %d | %d |\n' "$kernel" "$config" "$name" "${total:-0}" "${agree:-0}" \
		"${explained:-0}" $((${total:-0} - ${agree:-0} - ${explained:-0}))
	if [ $verdict -ne 0 ] || [ "${total:-0}" -eq 0 ]; then
		cat "$dir/$name.errors" >&2
		printf 'kvm-live: see `vmmu replay --compare %s`\n' "${options[*]}" >&2
		return 1
	fi
}

# Can KERNEL ($2) do what script $1 asks for? "# kernel VERSION" at its head says since when.
suits() {
	local since
	since=$(sed -n '1s/^# kernel \([0-9.]*[0-9]\).*/\1/p' "$1")
	[ -z "$since" ] || printf '%s\n%s\n' "$since" "$2" | sort -CV
}

# Record all scripts on the kernel of release $1 under configuration $2, and compare.
run() {
	local release=$1 config=$2 kernel name failed=0
	local dir=$out/${release:-here}/$config
	[ "$arch" = x86 ] || dir=$out/$arch${release:+-$release}/$config
	rm -rf "$dir"
	mkdir -p "$dir"
	kernel=$(KVM_LIVE_RELEASE=$release "$here/kit/record.sh" --arch "$arch" "$config" "$dir" "${scripts[@]}") || return 2
	kernel=${kernel#kernel }
	for name in "${scripts[@]}"; do
		suits "$name" "$kernel" || continue
		compare "$dir" "$(basename "$name" .txt)" "$config" "${kernel%% *}" || failed=1
	done
	return $failed
}

# The configurations of this run; $arch is known. Sets configs.
choose_configs() {
	local known=(tdp tdp-nx direct) name
	case $arch in
	arm64) known=(stage2) ;;
	riscv64) known=(gstage) ;;
	esac
	[ ${#configs[@]} -gt 0 ] || configs=("${known[0]}")
	[ "${configs[*]}" != all ] || configs=("${known[@]}")
	for name in "${configs[@]}"; do
		[[ " ${known[*]} " == *" $name "* ]] || die "no configuration $name on $arch: ${known[*]}, all"
	done
}

# The bundled scripts that build guest tables are for one architecture each.
bundled_scripts() {
	local name
	for name in "$here"/scripts/*.txt; do
		[[ $arch != x86 && $name == */guest-* ]] || scripts+=("$name")
	done
	[ ! -d "$here/scripts/$arch" ] || scripts+=("$here/scripts/$arch"/*.txt)
}

# The scripts of this run: those named, random ones, or all that there are for $arch.
choose_scripts() {
	local i
	if [ "$random" -gt 0 ]; then
		mkdir -p "$out/scripts"
		for ((i = seed; i < seed + random; i++)); do
			awk -v seed="$i" -v arch="$arch" -f "$here/random.awk" >"$out/scripts/random-$i.txt"
			scripts+=("$out/scripts/random-$i.txt")
		done
	elif [ ${#scripts[@]} -eq 0 ]; then
		bundled_scripts
	fi
	for i in "${scripts[@]}"; do
		[ -f "$i" ] || die "no script $i"
	done
}

main() {
	local release config status worst=0
	[ $# -ge 2 ] || die "usage: live.sh COMMAND ROOT [OPTION...]"
	command=$1 out=$2/build-kvm-live random=0 seed=1 arch=x86
	shift 2
	configs=() releases=() scripts=()
	while [ $# -gt 0 ]; do
		case $1 in
		--help | -h) usage; exit ;;
		--arch | --config | --release | --random | --seed | --out) [ $# -ge 2 ] || die "$1 takes a value" ;;&
		--arch)
			[[ $2 =~ ^(x86|arm64|riscv64)$ ]] || die "no architecture $2: x86, arm64, riscv64"
			arch=$2
			shift
			;;
		--config) configs+=("$2"); shift ;;
		--release) releases+=("$2"); shift ;;
		--random | --seed) [[ $2 =~ ^[0-9]{1,6}$ ]] || die "$1 takes a number, not '$2'" ;;&
		--random) random=$2; shift ;;
		--seed) seed=$2; shift ;;
		--out) out=$2; shift ;;
		-*) die "unknown option $1" ;;
		*) scripts+=("$1") ;;
		esac
		shift
	done
	choose_configs
	choose_scripts
	printf '| kernel | configuration | script | events | agree | explained | differ |\n|---|---|---|---|---|---|---|\n'
	for release in "${releases[@]-}"; do
		for config in "${configs[@]}"; do
			status=0
			run "$release" "$config" || status=$?
			[ $status -le $worst ] || worst=$status
		done
	done
	exit $worst
}

main "$@"

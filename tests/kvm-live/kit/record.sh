#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Record what a real KVM does for scripted accesses, on Debian packages alone and without hardware virtualization.
#   record.sh [--arch x86] tdp|tdp-nx|direct|shadow OUTDIR SCRIPT...
#   record.sh --arch arm64 stage2 OUTDIR SCRIPT...
#   record.sh --arch riscv64 gstage OUTDIR SCRIPT...
# Each SCRIPT NAME.txt leaves OUTDIR/NAME.tracefs.txt (events) and OUTDIR/NAME.slots.txt (slot calls, results).
# KVM_LIVE_RELEASE=trixie|sid takes the kernel of another Debian release (x86: 6.12 and 7.2 at the time of writing).
# tdp: NPT with the TDP MMU; tdp-nx: the same with the NX rule for huge pages forced on; direct: NPT with the legacy
# direct MMU (rmaps); shadow: no NPT, guest tables shadowed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
arch=x86
case ${1:-} in
--arch) arch=${2:?x86, arm64 or riscv64}; shift 2 ;;
--arch=*) arch=${1#--arch=}; shift ;;
esac
config=${1:?configuration: tdp, tdp-nx, direct, shadow; stage2 (arm64); gstage (riscv64)}
out=$(mkdir -p "${2:?output folder}" && cd "$2" && pwd)
shift 2

args=
case $arch/$config in
x86/tdp) args="live.kvm=tdp_mmu=Y live.amd=npt=1" ;;
x86/tdp-nx) args="live.kvm=tdp_mmu=Y,nx_huge_pages=force live.amd=npt=1" ;;
x86/direct) args="live.kvm=tdp_mmu=N live.amd=npt=1" ;;
x86/shadow) args="live.kvm=tdp_mmu=N live.amd=npt=0" ;;
arm64/stage2 | riscv64/gstage) ;;
*) echo "unknown configuration: $arch $config" >&2; exit 2 ;;
esac

# The emulated machine and the compiler for it.
cache=${KVM_LIVE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kvm-live}
sources=("$here/vmm.c" "$here/vcpus.c" "$here/calls.c" "$here/vmm-$arch.c")
case $arch in
x86)
	cc=gcc
	machine=(qemu-system-x86_64 -accel tcg -cpu max -m 3G -smp 2)
	console=ttyS0
	[ -z "${KVM_LIVE_RELEASE:-}" ] || cache=$cache/x86-$KVM_LIVE_RELEASE
	;;
arm64)
	cc=aarch64-linux-gnu-gcc
	machine=(qemu-system-aarch64 -accel tcg -M "virt,virtualization=on,gic-version=3" -cpu neoverse-n1 -m 3G -smp 2)
	console=ttyAMA0
	sources+=("$here/tables.c")
	cache=$cache/arm64
	;;
riscv64)
	cc=riscv64-linux-gnu-gcc
	machine=(qemu-system-riscv64 -accel tcg -M virt -cpu "rv64,h=true" -m 3G -smp 2)
	console=ttyS0
	sources+=("$here/tables.c")
	cache=$cache/riscv64
	;;
esac
for tool in ${machine[0]} $cc cpio dpkg-deb xz; do
	command -v $tool >/dev/null || {
		echo "$tool is missing: apt-get install qemu-system-x86 cpio gcc dpkg xz-utils" \
			"(qemu-system-arm gcc-aarch64-linux-gnu; qemu-system-misc gcc-riscv64-linux-gnu)" >&2
		exit 2
	}
done

# Packages of another architecture or release, fetched with an apt state of our own: the system's stays as it is. The
# mirror is that of the system's first Debian source; releases are tried in turn until one has the architecture.
foreign_packages() {
	local uri own release image apt=$cache/apt debarch=${arch/x86/amd64}
	read -r uri own < <(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' \
		'Origin: Debian' 'Label: Debian') || {
		echo "no Debian source in this system's apt configuration" >&2
		return 1
	}
	mkdir -p "$apt"/{lists,archives}/partial
	: >"$apt/status"
	cat >"$apt/apt.conf" <<-CONF
		#clear APT::Architectures;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		APT::Architecture "$debarch";
		APT::Architectures { "$debarch"; };
		Dir::Etc::SourceList "$apt/sources.list";
		Dir::Etc::SourceParts "-";
		Dir::State::Lists "$apt/lists";
		Dir::State::Status "$apt/status";
		Dir::Cache::Archives "$apt/archives";
		Dir::Cache::pkgcache "";
		Dir::Cache::srcpkgcache "";
	CONF
	for release in ${KVM_LIVE_RELEASE:-"$own" trixie sid}; do
		echo "deb $uri $release main" >"$apt/sources.list"
		apt-get -qq -c "$apt/apt.conf" update || continue
		image=$(apt-cache -c "$apt/apt.conf" depends "linux-image-$debarch" 2>/dev/null |
			sed -n 's/ *Depends: \(linux-image-.*\)/\1/p' | head -1) || continue
		[ -n "$image" ] || continue
		# newer releases keep the kernel and its modules in packages of their own
		image="$image $(apt-cache -c "$apt/apt.conf" depends "$image" |
			sed -n 's/ *Depends: \(linux-\(binary\|modules\)-.*\)/\1/p')"
		(cd "$cache" && apt-get -c "$apt/apt.conf" -q download $image busybox-static >&2) && return
	done
	echo "no release has a $debarch kernel" >&2
	return 1
}

mkdir -p "$cache"
if [ ! -f "$cache/vmlinuz" ]; then
	if ! ls "$cache"/linux-image-*.deb "$cache"/busybox-static_*.deb >/dev/null 2>&1; then
		if [ $arch = x86 ] && [ -z "${KVM_LIVE_RELEASE:-}" ]; then
			image=$(apt-cache depends linux-image-amd64 | sed -n 's/ *Depends: \(linux-image-.*\)/\1/p' | head -1)
			(cd "$cache" && apt-get -q download "$image" busybox-static >&2)
		else
			foreign_packages
		fi
	fi
	for deb in "$cache"/linux-*.deb; do dpkg-deb -x "$deb" "$cache/image"; done
	dpkg-deb -x "$cache"/busybox-static_*.deb "$cache/busybox"
	cp "$(find "$cache/image" -type f -name 'vmlinu[xz]*' | head -1)" "$cache/vmlinuz"
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,dev,proc,sys,mod,out}
cp "$(find "$cache/busybox" -path '*bin/busybox' | head -1)" "$root/bin/"
cp "$here/init" "$root/init"
$cc -O1 -static -pthread -o "$root/vmm" "${sources[@]}"
for m in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache 9pnet 9pnet_virtio 9p \
	zsmalloc lz4_compress zram irqbypass kvm ccp kvm-amd; do
	find "$cache/image" -path '*/lib/modules/*' -name "$m.ko*" -exec cp {} "$root/mod/" \;
done
find "$root/mod" -name '*.xz' -exec xz -d {} +
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) > "$out/initrd"
for s in "$@"; do cp "$s" "$out/$(basename "${s%.*}").script"; done

# A kernel's early boot can fail under emulation now and then: three tries.
for _ in 1 2 3; do
	timeout "${KVM_LIVE_TIMEOUT:-300}" "${machine[@]}" -nodefaults -display none -no-reboot \
		-kernel "$cache/vmlinuz" -initrd "$out/initrd" -append "console=$console panic=-1 quiet $args" \
		-serial "file:$out/console.log" -virtfs "local,path=$out,mount_tag=out,security_model=none" </dev/null || true
	grep -aq RECORDED "$out/console.log" && break
done
rm -f "$out/initrd" "$out"/*.script
grep -aq RECORDED "$out/console.log" || { echo "the run did not finish; see $out/console.log" >&2; exit 1; }
grep -a -m1 '^kernel ' "$out/console.log"

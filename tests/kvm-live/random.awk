# SPDX-License-Identifier: MIT
# A random script for the kit: awk -v seed=N -v arch=x86 -f random.awk. The same seed gives the same script. Slots of
# any backing and alignment, accesses alone and in ranges, what is in no slot, dirty logs, slots that go, come back, move
# their flags, host pages that go or lose their write permission.
#
# What is left out, as it would tell nothing of the MMU: execution of memory that has no stop instruction in it, and pool
# pages behind addresses that are not congruent for 2 MiB (riscv64's KVM never finishes there).

# 0 to n - 1: minimal standard generator, in numbers that every awk holds exactly.
function draw(n) {
	state = (state * 16807) % 2147483647
	return state % n
}

function pick(list, parts, n) {
	n = split(list, parts, " ")
	return parts[1 + draw(n)]
}

# A page of slot S, as a number; now and then a block's first or last.
function page_of(s, pages) {
	pages = bytes[s] / PAGE
	if (draw(4) == 0)
		return int(draw(pages) / 512) * 512
	return draw(pages)
}

function address_of(s) {
	return gpa[s] + page_of(s) * PAGE + 8 * draw(8)
}

# SLOT's memory is FLAGS' for good; its place and size too, but what the flags say of logging changes.
function slot(s) {
	printf "slot %x %x %x %x\n", s, gpa[s], bytes[s], backing[s] + logs[s]
	is_in[s] = 1
}

function make(s) {
	backing[s] = pick("0 256 256 512 768 768 1024")
	bytes[s] = BLOCK * (1 + draw(8))
	gpa[s] = s * 268435456
	logs[s] = 0
	if (backing[s] != 1024) {
		gpa[s] += PAGE * pick("0 0 0 1 511 512 3")
		bytes[s] += PAGE * pick("0 0 1 510 7")
	}
	slot(s)
}

function access(s, what) {
	what = draw(8)
	# Where the host dropped pages there are no stop instructions any more.
	if (what == 0 && backing[s] >= 512 && backing[s] < 1024 && !is_dropped[s])
		printf "x %x\n", gpa[s] + page_of(s) * PAGE
	else
		printf "%s %x\n", what < 4 ? "r" : "w", address_of(s)
}

function range(s, stride, count, first, most) {
	stride = pick("4096 4096 8192 65536 2097152")
	first = page_of(s)
	most = int((bytes[s] - first * PAGE - 1) / stride) + 1
	count = 1 + draw(32)
	printf "range %x %x %x %x\n", draw(2), gpa[s] + first * PAGE, count < most ? count : most, stride
}

# The host takes pages away, or their write permission, or gives it back.
function host(s, first, pages) {
	if (backing[s] == 1024) {
		first = int(page_of(s) / 512) * 512
		pages = 512
	} else {
		first = page_of(s)
		pages = 1 + draw(pick("4 64 600"))
	}
	if (first + pages > int(bytes[s] / PAGE))
		return
	if (draw(2)) {
		printf "dontneed %x %x %x\n", s, first * PAGE, pages * PAGE
		is_dropped[s] = 1
	} else {
		printf "protect %x %x %x 0\n", s, first * PAGE, pages * PAGE
		printf "%s %x\n", pick("r w"), gpa[s] + first * PAGE
		printf "protect %x %x %x 1\n", s, first * PAGE, pages * PAGE
	}
}

function log_dirty(s) {
	if (logs[s] == 1 && draw(3))
		printf "dirty %x\n", s
	else {
		logs[s] = logs[s] ? 0 : 1
		slot(s)
	}
}

function come_and_go(s) {
	if (is_in[s]) {
		printf "del %x\n", s
		is_in[s] = 0
		printf "%s %x\n", pick("r w"), address_of(s)
	}
	logs[s] = pick("0 0 0 1 2")
	slot(s)
}

function nothing_there() {
	printf "%s %x\n", pick("r w"), 1879048192 + PAGE * draw(4) + 4 * draw(4)
}

function line(s, what) {
	s = 1 + draw(SLOTS)
	what = draw(20)
	if (what < 8)
		access(s)
	else if (what < 12)
		range(s)
	else if (what < 15)
		log_dirty(s)
	else if (what < 17)
		host(s)
	else if (what < 18)
		come_and_go(s)
	else
		nothing_there()
}

BEGIN {
	PAGE = 4096
	BLOCK = 2097152
	SLOTS = 3
	state = 1 + (seed * 48271 + 11) % 2147483646
	for (i = 0; i < 10; i++)
		draw(2)
	printf "# random script of seed %d\n", seed
	for (i = 1; i <= SLOTS; i++)
		make(i)
	for (i = 0; i < 60; i++)
		line()
}

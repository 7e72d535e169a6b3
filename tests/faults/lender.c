/* SPDX-License-Identifier: MIT */
#include "faults/lender.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>

#define UNIT (UINT64_C(1) << 20)

struct lender lender;

void lender_begin(uint64_t page)
{
	/* One unit more: the first that is aligned as hardware sees it begins inside the first. */
	uint64_t bytes = (LENDER_UNITS + 1) * UNIT;
	/* And one for memory that begins on a page of the format's, whatever the kernel's are. */
	unsigned char *map = mmap(NULL, bytes + UNIT, PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	cr_assert_neq(map, MAP_FAILED);
	lender = (struct lender){.map = map,
				 .memory = map + (-(uintptr_t)map & (page - 1)),
				 .bytes = bytes,
				 .hpa = 0x1235 * page,
				 .left = -1};
}

void lender_end(void)
{
	cr_assert_eq(lender.out, 0, "%u frames not given back", lender.out);
	cr_assert_eq(lender.gets, lender.puts);
	munmap(lender.map, lender.bytes + UNIT);
}

/* The pointer to the first byte of a unit. */
static unsigned char *unit_memory(unsigned unit)
{
	uint64_t first = (lender.hpa + UNIT - 1) & ~(UNIT - 1);

	return lender.memory + (first - lender.hpa) + unit * UNIT;
}

static void *lender_get(void *ctx, uint64_t bytes)
{
	void *frame = lender.wrong;
	unsigned unit;

	(void)ctx;
	if (lender.on_get)
		lender.on_get();
	lender.wrong = NULL;
	if (frame)
		return frame;
	lender.has_refused |= !lender.left;
	if (!lender.left)
		return NULL;
	lender.left -= lender.left > 0;
	do
		unit = lender.next++ % LENDER_UNITS;
	while (lender.lent[unit]);
	cr_assert_leq(bytes, UNIT);
	cr_assert_eq(bytes & (bytes - 1), 0);
	frame = unit_memory(unit) + (unit % 7 * bytes) % UNIT;
	cr_assert_eq(mprotect(frame, bytes, PROT_READ | PROT_WRITE), 0);
	memset(frame, 0xa5, bytes);
	lender.lent[unit] = bytes;
	lender.gets++;
	if (++lender.out > lender.peak)
		lender.peak = lender.out;
	return frame;
}

static void lender_put(void *ctx, void *frame, uint64_t bytes)
{
	uint64_t unit = (uint64_t)((unsigned char *)frame - unit_memory(0)) / UNIT;

	(void)ctx;
	cr_assert_lt(unit, LENDER_UNITS);
	cr_assert_eq(lender.lent[unit], bytes, "in one piece");
	cr_assert_eq((uintptr_t)frame,
		     (uintptr_t)unit_memory((unsigned)unit) + (unit % 7 * bytes) % UNIT);
	cr_assert_eq(mprotect(frame, bytes, PROT_NONE), 0);
	lender.lent[unit] = 0;
	lender.out--;
	lender.puts++;
	if (lender.on_put)
		lender.on_put();
}

void lender_serve(struct vmmu_vm_options *options, struct vmmu_env *env)
{
	env->table_get = lender_get;
	env->table_put = lender_put;
	options->env = env;
	options->tables = lender.memory;
	options->tables_hpa = lender.hpa;
	options->tables_bytes = lender.bytes;
}

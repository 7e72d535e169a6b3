/* SPDX-License-Identifier: MIT */
#include "base/objcache.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/failing_mem.h"

static struct objcache cache;
static size_t live_before;

static void setup(void)
{
	live_before = mem_live();
	objcache_init(&cache, 136);
}

static void teardown(void)
{
	failing_mem_stop();
	objcache_destroy(&cache);
	cr_assert_eq(cache.count, 0);
	cr_assert_eq(mem_live(), live_before);
}

TestSuite(objcache, .init = setup, .fini = teardown);

Test(objcache, fresh_cache__is_empty)
{
	cr_assert_eq(cache.count, 0);
	cr_assert_null(objcache_take(&cache));
}

Test(objcache, topup__fills_to_capacity)
{
	cr_assert_eq(objcache_topup(&cache, 1), 0);
	cr_assert_eq(cache.count, 40);
	cr_assert_eq(mem_live(), live_before + 40);
}

Test(objcache, topup_of_enough__does_nothing)
{
	cr_assert_eq(objcache_topup(&cache, 0), 0);
	cr_assert_eq(cache.count, 0);
	cr_assert_eq(objcache_topup(&cache, 5), 0);
	for (unsigned i = 0; i < 35; i++)
		mem_free(objcache_take(&cache));
	failing_mem_after(100);
	cr_assert_eq(objcache_topup(&cache, 5), 0);
	cr_assert_eq(failing_mem_asked, 0);
	cr_assert_eq(cache.count, 5);
}

Test(objcache, topup_short_of_memory__succeeds_from_min_on)
{
	failing_mem_after(6);
	cr_assert_eq(objcache_topup(&cache, 7), -ENOMEM);
	cr_assert_eq(objcache_topup(&cache, 6), 0);
	cr_assert_eq(cache.count, 6);
	failing_mem_after(1);
	cr_assert_eq(objcache_topup(&cache, 7), 0);
	cr_assert_eq(cache.count, 7);
}

Test(objcache, topup_above_capacity__is_refused)
{
	cr_assert_eq(objcache_topup(&cache, 40), 0);
	cr_assert_eq(objcache_topup(&cache, 41), -ENOMEM);
	cr_assert_eq(cache.count, 40);
}

Test(objcache, take__gives_distinct_objects_of_full_size)
{
	void *objects[40];

	cr_assert_eq(objcache_topup(&cache, 40), 0);
	for (unsigned i = 0; i < 40; i++) {
		objects[i] = objcache_take(&cache);
		cr_assert(objects[i]);
		memset(objects[i], (int)i, 136);
	}
	cr_assert_null(objcache_take(&cache));
	for (unsigned i = 0; i < 40; i++) {
		cr_assert_eq(((unsigned char *)objects[i])[0], i);
		cr_assert_eq(((unsigned char *)objects[i])[135], i);
		mem_free(objects[i]);
	}
}

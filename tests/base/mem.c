/* SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "base/failing_mem.h"
#include "base/sanitize.h"

static bool is_all_zero(const unsigned char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

Test(mem, reused_block__is_zeroed_and_aligned)
{
	static const size_t sizes[] = {1, 8, 17, 128, 4096, 100000, 3 << 20};

	/* Twice: the second time over, the allocator serves what was freed dirty. */
	for (unsigned i = 0; i < 2 * ARRAY_COUNT(sizes); i++) {
		size_t bytes = sizes[i % ARRAY_COUNT(sizes)];
		unsigned char *ptr = mem_alloc(bytes);

		cr_assert(ptr);
		cr_assert(is_aligned((uintptr_t)ptr, 16));
		cr_assert(is_all_zero(ptr, bytes), "%zu bytes", bytes);
		memset(ptr, 0xa5, bytes);
		mem_free(ptr);
	}
}

Test(mem, zero_bytes__are_a_block_of_their_own)
{
	void *first = mem_alloc(0), *second = mem_alloc_array(0, 8);

	cr_assert(first);
	cr_assert(second);
	cr_assert_neq(first, second);
	mem_free(first);
	mem_free(second);
}

Test(mem, impossible_sizes__are_refused)
{
	size_t live = mem_live();

	/*
	 * 2^63 * 2 and (2^32 + 1)^2 overflow; the products mod 2^64, 0 and 2^33 + 1, would be had.
	 */
	cr_assert_null(mem_alloc_array(SIZE_MAX / 2 + 1, 2));
	cr_assert_null(mem_alloc_array(0x100000001, 0x100000001));
	cr_assert_null(mem_alloc(SIZE_MAX));
	cr_assert_null(mem_alloc((size_t)PTRDIFF_MAX + 1));
	cr_assert_eq(mem_live(), live);
}

Test(mem, array__has_room_for_all)
{
	uint64_t *array = mem_alloc_array(1000, sizeof(*array));

	cr_assert(array);
	cr_assert(is_all_zero((unsigned char *)array, 8000));
	array[999] = 1;
	mem_free(array);
}

Test(mem, live__counts_blocks_not_yet_freed)
{
	size_t before = mem_live();
	void *first = mem_alloc(10), *second = mem_alloc_array(3, 5);

	cr_assert_eq(mem_live(), before + 2);
	mem_free(NULL);
	cr_assert_eq(mem_live(), before + 2);
	mem_free(first);
	cr_assert_eq(mem_live(), before + 1);
	mem_free(second);
	cr_assert_eq(mem_live(), before);
}

static void *free_in_thread(void *ptr)
{
	mem_free(ptr);
	return mem_alloc(1);
}

Test(mem, live__adds_up_over_threads)
{
	size_t before = mem_live();
	pthread_t threads[40];
	void *made[40];

	for (unsigned i = 0; i < ARRAY_COUNT(threads); i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, free_in_thread, mem_alloc(1)), 0);
	for (unsigned i = 0; i < ARRAY_COUNT(threads); i++)
		pthread_join(threads[i], &made[i]);
	for (unsigned i = 0; i < ARRAY_COUNT(threads); i++) {
		cr_assert_eq(mem_live(), before + ARRAY_COUNT(threads) - i);
		mem_free(made[i]);
	}
	cr_assert_eq(mem_live(), before);
}

Test(mem, replaced_allocator__is_asked_and_given_back)
{
	static const struct mem_ops other = {.alloc = failing_mem_alloc, .free = failing_mem_free};
	size_t before = mem_live();
	const struct mem_ops *builtin;
	void *ptr;

	failing_mem_after(1);
	ptr = mem_alloc(1);
	cr_assert(ptr);
	cr_assert_null(mem_alloc(1));
	cr_assert_null(mem_alloc_array(1, 1));
	cr_assert_eq(failing_mem_asked, 3);
	cr_assert_eq(mem_live(), before + 1);
	mem_free(ptr);
	failing_mem_stop();

	builtin = mem_ops_set(&other);
	cr_assert_eq(builtin, failing_mem_real);
	cr_assert_eq(mem_ops_set(NULL), &other);
	cr_assert_eq(mem_ops_set(NULL), builtin);
}

static size_t resident_pages(void)
{
	unsigned long size = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	cr_assert(file);
	cr_assert_eq(fscanf(file, "%lu %lu", &size, &resident), 2);
	fclose(file);
	return resident;
}

/* AddressSanitizer keeps an account of every byte allocated, touched or not. */
Test(mem, large_block__costs_what_is_touched, .disabled = BASE_HAS_ASAN)
{
	size_t before = resident_pages();
	unsigned char *block = mem_alloc((size_t)1 << 30);

	cr_assert(block);
	block[12345678] = 1;
	cr_assert_lt(resident_pages() - before, 4096, "16 MiB at most");
	mem_free(block);
}

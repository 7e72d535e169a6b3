/* SPDX-License-Identifier: MIT */
/* Wrong arguments: the errno that range.h names, and nothing changed. */
#include <errno.h>
#include <string.h>

#include "range/stand.h"

#define RAM VMMU_MEM_WRITEBACK

/* Calls with a bad range: gpa and bytes. */
static void check_bad_range(struct stand *stand, uint64_t gpa, uint64_t bytes)
{
	uint64_t page = UINT64_C(1) << stand->page_shift, done = 77;
	struct vmmu_update *update = &stand->update;
	struct vmmu_attr attr;

	vmmu_attr_make(stand->vm, VMMU_RWX, RAM, &attr);
	cr_assert_eq(vmmu_map(update, gpa, page, bytes, &attr, &done), -EINVAL);
	cr_assert_eq(done, 0);
	done = 77;
	cr_assert_eq(vmmu_unmap(update, gpa, bytes, &done), -EINVAL);
	cr_assert_eq(done, 0);
	done = 77;
	cr_assert_eq(vmmu_protect(update, gpa, bytes, VMMU_READ, &done), -EINVAL);
	cr_assert_eq(done, 0);
	done = 77;
	cr_assert_eq(vmmu_write_protect(update, gpa, bytes, &done), -EINVAL);
	cr_assert_eq(done, 0);
	done = 77;
	cr_assert_eq(vmmu_write_allow(update, gpa, bytes, &done), -EINVAL);
	cr_assert_eq(done, 0);
	cr_assert_eq(vmmu_map(update, gpa, page, bytes, &attr, NULL), -EINVAL);
	cr_assert_eq(vmmu_unmap(update, gpa, bytes, NULL), -EINVAL);
	cr_assert_eq(vmmu_protect(update, gpa, bytes, VMMU_READ, NULL), -EINVAL);
	cr_assert_eq(vmmu_write_protect(update, gpa, bytes, NULL), -EINVAL);
	cr_assert_eq(vmmu_write_allow(update, gpa, bytes, NULL), -EINVAL);
}

RANGE_TEST(range_refusals, ranges_that_are_none__change_nothing)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t page = UINT64_C(1) << stand->page_shift;
	uint64_t limit = UINT64_C(1) << stand->geometry->gpa_bits;
	struct vmmu_digest before, after;

	stand_begin(stand);
	stand_map(stand, 0, 700, 0, VMMU_RWX, RAM);
	stand_end(stand);
	cr_assert_eq(vmmu_digest(stand->vm, &before), 0);
	stand_begin(stand);
	check_bad_range(stand, 0, 0);
	check_bad_range(stand, 1, page);
	check_bad_range(stand, page / 2, page);
	check_bad_range(stand, 0, page + 1);
	check_bad_range(stand, 0, page / 2);
	check_bad_range(stand, limit, page);
	check_bad_range(stand, limit - page, 2 * page);
	check_bad_range(stand, 0, limit + page);
	check_bad_range(stand, page, limit);
	check_bad_range(stand, 0 - page, page);
	check_bad_range(stand, 0 - page, 2 * page);
	check_bad_range(stand, page, 0 - page);
	stand_end(stand);
	cr_assert_eq(vmmu_digest(stand->vm, &after), 0);
	cr_assert_eq(before.high, after.high);
	stand_destroy(stand);
}

RANGE_TEST(range_refusals, frames_that_no_entry_holds__are_not_mapped)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t page = UINT64_C(1) << stand->page_shift, done = 77;
	uint64_t limit = UINT64_C(1) << stand->geometry->pa_bits;
	struct vmmu_attr attr;

	vmmu_attr_make(stand->vm, VMMU_RWX, RAM, &attr);
	stand_begin(stand);
	cr_assert_eq(vmmu_map(&stand->update, 0, limit, page, &attr, &done), -EINVAL);
	cr_assert_eq(done, 0);
	cr_assert_eq(vmmu_map(&stand->update, 0, limit - page, 2 * page, &attr, &done), -EINVAL);
	cr_assert_eq(vmmu_map(&stand->update, 0, 0 - page, page, &attr, &done), -EINVAL);
	cr_assert_eq(vmmu_map(&stand->update, 0, page + 8, page, &attr, &done), -EINVAL);
	cr_assert_eq(vmmu_map(&stand->update, 0, page / 2, page, &attr, &done), -EINVAL);
	/* the last frame and the last page are fine */
	cr_assert_eq(stand_map(stand, 0, 1, (limit >> stand->page_shift) - 1, VMMU_RWX, RAM), 0);
	stand_end(stand);
	stand_destroy(stand);
}

RANGE_TEST(range_refusals, the_last_page_of_the_guest__is_one)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t page = UINT64_C(1) << stand->page_shift, done = 0;
	uint64_t last = (UINT64_C(1) << stand->geometry->gpa_bits) - page;
	struct vmmu_attr attr;

	vmmu_attr_make(stand->vm, VMMU_RWX, RAM, &attr);
	stand_begin(stand);
	cr_assert_eq(vmmu_map(&stand->update, last - page, 0, 2 * page, &attr, &done), 0);
	cr_assert_eq(done, 2 * page);
	stand_end(stand);
	cr_assert_eq(vmmu_translate_once(stand->vm, 0, last + 5), page + 5);
	stand_begin(stand);
	cr_assert_eq(vmmu_write_protect(&stand->update, last, page, &done), 0);
	cr_assert_eq(vmmu_protect(&stand->update, last, page, VMMU_RWX, &done), 0);
	cr_assert_eq(vmmu_unmap(&stand->update, 0, last + page, &done), 0);
	cr_assert_eq(done, last + page);
	stand_end(stand);
	cr_assert_eq(vmmu_translate_once(stand->vm, 0, last), VMMU_NOT_MAPPED);
	stand_destroy(stand);
}

RANGE_TEST(range_refusals, rights_that_are_none__change_nothing)
{
	static const unsigned bad[] = {0, VMMU_WRITE,    VMMU_EXEC, VMMU_WRITE | VMMU_EXEC,
				       8, VMMU_READ | 8, ~0u};
	struct stand *stand = stand_create(*index, NULL);
	uint64_t page = UINT64_C(1) << stand->page_shift;
	struct vmmu_attr attr;

	stand_begin(stand);
	stand_map(stand, 0, 4, 0, VMMU_RWX, RAM);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (unsigned pages = 1; pages <= 2; pages++) {
			uint64_t done = 77;

			cr_assert_eq(vmmu_protect(&stand->update, 0, pages * page, bad[i], &done),
				     -EINVAL);
			cr_assert_eq(done, 0);
		}
		cr_assert_eq(vmmu_attr_make(stand->vm, bad[i], RAM, &attr), -EINVAL);
	}
	stand_end(stand);
	cr_assert_eq(vmmu_attr_make(NULL, VMMU_READ, RAM, &attr), -EINVAL);
	cr_assert_eq(vmmu_attr_make(stand->vm, VMMU_READ, RAM, NULL), -EINVAL);
	stand_destroy(stand);
}

RANGE_TEST(range_refusals, sections_that_cannot_begin__say_why)
{
	struct stand *stand = stand_create(*index, NULL);
	struct vmmu_update update;
	struct vmmu_reader reader;

	cr_assert_eq(vmmu_update_begin(NULL, 0, &update), -EINVAL);
	cr_assert_eq(vmmu_update_begin(stand->vm, 0, NULL), -EINVAL);
	cr_assert_eq(vmmu_update_begin(stand->vm, 2, &update), -EINVAL);
	cr_assert_eq(vmmu_reader_begin(NULL, 0, &reader), -EINVAL);
	cr_assert_eq(vmmu_reader_begin(stand->vm, 0, NULL), -EINVAL);
	cr_assert_eq(vmmu_reader_begin(stand->vm, 2, &reader), -EINVAL);
	cr_assert_eq(vmmu_reader_begin(stand->vm, 0, &reader), -ENOENT);
	cr_assert_eq(vmmu_translate_once(stand->vm, 0, 0), VMMU_NOT_MAPPED);
	cr_assert_eq(vmmu_translate_once(NULL, 0, 0), VMMU_NOT_MAPPED);
	cr_assert_eq(vmmu_translate_once(stand->vm, 2, 0), VMMU_NOT_MAPPED);
	/* ends without a begin are ignored */
	memset(&update, 0, sizeof(update));
	memset(&reader, 0, sizeof(reader));
	vmmu_update_end(NULL);
	vmmu_update_end(&update);
	vmmu_reader_end(NULL);
	vmmu_reader_end(&reader);
	stand_begin(stand);
	stand_end(stand);
	cr_assert_eq(vmmu_reader_begin(stand->vm, 0, &reader), 0);
	cr_assert_eq(vmmu_translate(&reader, 0), VMMU_NOT_MAPPED);
	vmmu_reader_end(&reader);
	stand_destroy(stand);
}

RANGE_TEST(range_refusals, memslots_and_ranges__do_not_mix)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t page = UINT64_C(1) << stand->page_shift;
	struct vmmu_slot slot = {.bytes = page, .hva = page};
	struct vmmu_env env = {.size = sizeof(env)};
	struct vmmu_vm_options options = {.size = sizeof(options), .env = &env};
	struct vmmu_update update;
	struct vmmu_vm *vm;

	cr_assert_eq(vmmu_slot_set(stand->vm, &slot), -ENOTSUP);
	env.resolve = (enum vmmu_resolve_status(*)(void *, const struct vmmu_page_request *,
						   struct vmmu_page *))(uintptr_t)1;
	options.format = outside_at(*index);
	cr_assert_eq(vmmu_vm_create(&options, &vm), 0);
	cr_assert_eq(vmmu_update_begin(vm, 0, &update), -ENOTSUP);
	vmmu_vm_destroy(vm);
	stand_destroy(stand);
}

/* SPDX-License-Identifier: MIT */
/* Calls that are wrong: the documented errno, and nothing changed. */
#include <errno.h>
#include <string.h>

#include "faults/harness.h"

/* All that can be seen of a VM from outside. */
struct state {
	struct vmmu_digest digest;
	struct vmmu_stats stats;
	uint64_t generations[2];
	uint64_t resolves, flushes;
};

static struct state state_of(struct machine *machine)
{
	struct state state;

	memset(&state, 0, sizeof(state));
	cr_assert_eq(vmmu_digest(machine->vm, &state.digest), 0);
	vmmu_vm_stats(machine->vm, &state.stats);
	state.generations[0] = vmmu_slot_generation(machine->vm, 0);
	state.generations[1] = vmmu_slot_generation(machine->vm, 1);
	state.resolves = machine->resolves;
	state.flushes = machine->flush_count;
	return state;
}

/* One address space, slot 0 logging with a written page, slot 1 not logging. */
static struct machine *machine_in_use(unsigned format_index)
{
	struct machine *machine = machine_create(format_index, NULL);

	machine_slot(machine, 0, 0, 16, 0, VMMU_SLOT_LOG_DIRTY);
	machine_slot(machine, 1, 32, 16, 16, 0);
	machine_touch(machine, 3, VMMU_WRITE);
	machine_touch(machine, 33, VMMU_READ);
	machine_access(machine, 0, machine_gpa(machine, 100), VMMU_READ);
	return machine;
}

#define CHECK_REFUSED(machine, before, call, error)                                            \
	do {                                                                                   \
		struct state after_;                                                           \
		int result_ = (call);                                                          \
		cr_assert_eq(result_, error, "%s: %d", #call, result_);                        \
		after_ = state_of(machine);                                                    \
		cr_assert(!memcmp(&(before), &after_, sizeof(after_)), "%s changed something", \
			  #call);                                                              \
	} while (0)

FORMAT_TEST(arguments, vm_create__refuses_bad_options)
{
	const struct vmmu_format *format = outside_at(*index);
	struct vmmu_env env = machine_env;
	const struct vmmu_vm_options good = {.size = sizeof(good), .format = format, .env = &env};
	struct vmmu_vm_options bad = good;
	struct vmmu_vm *vm = NULL;

	cr_assert_eq(vmmu_vm_create(NULL, &vm), -EINVAL);
	cr_assert_eq(vmmu_vm_create(&good, NULL), -EINVAL);
	bad.size = 0;
	cr_assert_eq(vmmu_vm_create(&bad, &vm), -EINVAL);
	bad = good;
	bad.format = NULL;
	cr_assert_eq(vmmu_vm_create(&bad, &vm), -EINVAL);
	bad = good;
	bad.env = NULL;
	cr_assert_eq(vmmu_vm_create(&bad, &vm), -EINVAL);
	bad = good;
	bad.address_spaces = 3;
	cr_assert_eq(vmmu_vm_create(&bad, &vm), -EINVAL);
	bad = good;
	bad.max_level = vmmu_format_info(format)->geometry->levels + 1;
	cr_assert_eq(vmmu_vm_create(&bad, &vm), -EINVAL);
	bad = good;
	bad.mode = (enum vmmu_mode)7;
	cr_assert_eq(vmmu_vm_create(&bad, &vm), -EINVAL);
	bad = good;
	bad.tables_max = VMMU_TABLES_MIN - 1;
	cr_assert_eq(vmmu_vm_create(&bad, &vm), -EINVAL);
	bad.tables_max = VMMU_TABLES_MIN;
	bad.mode = VMMU_MODE_RANGES;
	cr_assert_eq(vmmu_vm_create(&bad, &vm), -EINVAL, "nobody would bring back what goes");
	bad = good;
	bad.max_level = UINT32_MAX;
	cr_assert_eq(vmmu_vm_create(&bad, &vm), -EINVAL);
	cr_assert_null(vm);
}

FORMAT_TEST(arguments, vm_create__refuses_bad_environment_and_tables)
{
	struct vmmu_env env = machine_env;
	struct vmmu_vm_options options = {
		.size = sizeof(options),
		.format = outside_at(*index),
		.env = &env,
	};
	const uint64_t bad_hpas[] = {1, 0x800, UINT64_MAX, UINT64_MAX & ~UINT64_C(0xfffff)};
	struct vmmu_vm *vm = NULL;

	env.size = 0;
	cr_assert_eq(vmmu_vm_create(&options, &vm), -EINVAL);
	env = machine_env;
	env.resolve = NULL;
	cr_assert_eq(vmmu_vm_create(&options, &vm), -EINVAL);
	env = machine_env;
	for (unsigned i = 0; i < 4; i++) {
		options.tables_hpa = bad_hpas[i];
		cr_assert_eq(vmmu_vm_create(&options, &vm), -EINVAL, "tables_hpa %#llx",
			     (unsigned long long)bad_hpas[i]);
	}
	options.tables_hpa = 0;
	options.tables_bytes = UINT64_MAX;
	cr_assert_lt(vmmu_vm_create(&options, &vm), 0);
	cr_assert_null(vm);
}

/* Tables must lie where an entry can point to. */
FORMAT_TEST(arguments, tables_beyond_what_an_entry_can_hold__are_refused)
{
	struct vmmu_env env = machine_env;
	const struct vmmu_format *format = outside_at(*index);
	struct vmmu_vm_options options = {.size = sizeof(options), .format = format, .env = &env};
	unsigned pa_bits = vmmu_format_info(format)->geometry->pa_bits;
	struct vmmu_vm *vm = NULL;

	options.tables_bytes = UINT64_C(1) << 21;
	options.tables_hpa = UINT64_C(1) << pa_bits;
	cr_assert_eq(vmmu_vm_create(&options, &vm), -EINVAL);
	options.tables_hpa -= UINT64_C(1) << 20; /* begins inside, ends outside */
	cr_assert_eq(vmmu_vm_create(&options, &vm), -EINVAL);
	cr_assert_null(vm);
}

FORMAT_TEST(arguments, null__is_refused_everywhere)
{
	struct machine *machine = machine_in_use(*index);
	struct vmmu_vcpu *vcpu = machine->vcpu[0].vcpu, *made;
	struct vmmu_fault fault = {.access = VMMU_READ};
	struct vmmu_slot slot = {0};
	struct vmmu_hva_range range = {0, 1};
	struct vmmu_walk walk;
	struct vmmu_audit audit;
	struct vmmu_digest digest;
	struct vmmu_root root;
	struct state before = state_of(machine);
	uint64_t bits[1];
	bool flush;

	CHECK_REFUSED(machine, before, vmmu_vcpu_create(NULL, 1, &made), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_vcpu_create(machine->vm, 1, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_vcpu_set_as(NULL, 0), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_vcpu_root(NULL, &root, &flush), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_vcpu_root(vcpu, NULL, &flush), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_fault(NULL, &fault), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_fault(vcpu, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_fault_ready(NULL, &fault), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_fault_ready(vcpu, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_slot_set(NULL, &slot), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_slot_set(machine->vm, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_slot_get(NULL, 0, 0, &slot), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_slot_get(machine->vm, 0, 0, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_dirty_get(NULL, 0, 0, bits, 64, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_dirty_get(machine->vm, 0, 0, NULL, 64, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_invalidate_begin(NULL, &range), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_invalidate_begin(machine->vm, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_invalidate_end(NULL, &range), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_invalidate_end(machine->vm, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_zap_all(NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_walk(NULL, 0, 0, &walk), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_walk(machine->vm, 0, 0, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_visit(NULL, NULL, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_visit(machine->vm, NULL, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_tables(machine->vm, NULL, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_digest(NULL, &digest), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_digest(machine->vm, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_audit(NULL, &audit, NULL, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_audit(machine->vm, NULL, NULL, NULL), -EINVAL);
	vmmu_vm_destroy(NULL);
	vmmu_vcpu_destroy(NULL);
	cr_assert_eq(vmmu_slot_generation(NULL, 0), 0);
	machine_destroy(machine);
}

FORMAT_TEST(arguments, vcpu__refuses_taken_ids_and_unknown_address_spaces)
{
	struct machine *machine = machine_in_use(*index);
	struct state before = state_of(machine);
	struct vmmu_vcpu *made = NULL;

	CHECK_REFUSED(machine, before, vmmu_vcpu_create(machine->vm, 0, &made), -EEXIST);
	cr_assert_null(made);
	CHECK_REFUSED(machine, before, vmmu_vcpu_set_as(machine->vcpu[0].vcpu, 1), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_vcpu_set_as(machine->vcpu[0].vcpu, ~0u), -EINVAL);
	cr_assert_eq(vmmu_vcpu_create(machine->vm, ~0u - 1, &made), 0, "any other id will do");
	machine_destroy(machine);
}

FORMAT_TEST(arguments, fault__refuses_bad_access_flags_and_level)
{
	static const unsigned bad_access[] = {0, 3, 5, 6, 7, 8, 9, 0x80000000};
	static const unsigned bad_flags[] = {1u << 7, 1u << 31, ~0u};
	struct machine *machine = machine_in_use(*index);
	struct vmmu_vcpu *vcpu = machine->vcpu[0].vcpu;
	struct state before = state_of(machine);

	for (unsigned i = 0; i < 8; i++) {
		struct vmmu_fault fault = {.gpa = 0, .access = bad_access[i]};

		CHECK_REFUSED(machine, before, vmmu_fault(vcpu, &fault), -EINVAL);
		CHECK_REFUSED(machine, before, vmmu_fault_ready(vcpu, &fault), -EINVAL);
	}
	for (unsigned i = 0; i < 3; i++) {
		struct vmmu_fault fault = {.access = VMMU_READ, .flags = bad_flags[i]};

		CHECK_REFUSED(machine, before, vmmu_fault(vcpu, &fault), -EINVAL);
	}
	for (unsigned level = 1; level < 40; level++) {
		struct vmmu_fault fault = {
			.gpa = machine_gpa(machine, 200), .access = VMMU_READ, .max_level = level};

		if (level <= machine->geometry->levels &&
		    machine->geometry->leaf_levels & (1u << level))
			continue;
		CHECK_REFUSED(machine, before, vmmu_fault(vcpu, &fault), -EINVAL);
	}
	machine_destroy(machine);
}

/* Each line wrong in one way; the page size is the format's. */
FORMAT_TEST(arguments, slot_set__refuses_in_the_documented_order)
{
	struct machine *machine = machine_in_use(*index);
	uint64_t page = UINT64_C(1) << machine->page_shift;
	uint64_t high = UINT64_MAX & ~(page - 1);
	const struct {
		struct vmmu_slot slot;
		int error;
	} calls[] = {
		{{.id = 5, .flags = 4, .gpa = 64 * page, .bytes = page}, -EINVAL},
		{{.id = 5, .flags = 1u << 31, .gpa = 64 * page, .bytes = page}, -EINVAL},
		{{.id = 5, .gpa = 64 * page, .bytes = page + 1}, -EINVAL},
		{{.id = 5, .gpa = 64 * page, .bytes = page / 2}, -EINVAL},
		{{.id = 5, .gpa = 64 * page + page / 2, .bytes = page}, -EINVAL},
		{{.id = 5, .gpa = 64 * page, .bytes = page, .hva = 8}, -EINVAL},
		{{.id = 5, .gpa = 64 * page, .bytes = 2 * page, .hva = high}, -EINVAL},
		{{.id = 5, .gpa = high, .bytes = 2 * page}, -EINVAL},
		{{.as_id = 1, .id = 5, .gpa = 64 * page, .bytes = page}, -EINVAL},
		{{.as_id = 2, .id = 5, .gpa = 64 * page, .bytes = page}, -EINVAL},
		{{.id = VMMU_SLOT_IDS, .gpa = 64 * page, .bytes = page}, -EINVAL},
		{{.id = ~0u, .gpa = 64 * page, .bytes = page}, -EINVAL},
		{{.id = 5, .gpa = 0, .bytes = page << 31}, -EINVAL},
		{{.id = 5, .gpa = 64 * page, .bytes = 0}, -EINVAL},
		{{.id = 5, .gpa = 15 * page, .bytes = page}, -EEXIST},
		{{.id = 5, .gpa = 0, .bytes = 64 * page}, -EEXIST},
		{{.id = 5, .gpa = 31 * page, .bytes = 2 * page}, -EEXIST},
		/* slot 0 as it is, but for one thing */
		{{.flags = 1, .gpa = 0, .bytes = 17 * page, .hva = HOST_VA}, -EINVAL},
		{{.flags = 1, .gpa = 0, .bytes = 16 * page, .hva = HOST_VA + page}, -EINVAL},
		{{.flags = 3, .gpa = 0, .bytes = 16 * page, .hva = HOST_VA}, -EINVAL},
		{{.flags = 1, .gpa = 24 * page, .bytes = 16 * page, .hva = HOST_VA}, -EEXIST},
		/* unchanged: no error, no update */
		{{.flags = 1, .gpa = 0, .bytes = 16 * page, .hva = HOST_VA}, 0},
		/* two things wrong: -EINVAL comes before -EEXIST */
		{{.id = 5, .flags = 8, .gpa = 0, .bytes = page}, -EINVAL},
		{{.flags = 3, .gpa = 32 * page, .bytes = 16 * page, .hva = HOST_VA}, -EINVAL},
	};
	struct state before = state_of(machine);

	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int result = vmmu_slot_set(machine->vm, &calls[i].slot);

		cr_assert_eq(result, calls[i].error, "line %u: %d", i, result);
		CHECK_REFUSED(machine, before, vmmu_slot_set(machine->vm, &calls[i].slot),
			      calls[i].error);
	}
	machine_destroy(machine);
}

FORMAT_TEST(arguments, slot_get__tells_what_was_set)
{
	struct machine *machine = machine_in_use(*index);
	struct state before = state_of(machine);
	struct vmmu_slot slot;

	cr_assert_eq(vmmu_slot_get(machine->vm, 0, 1, &slot), 0);
	cr_assert_eq(slot.gpa, machine_gpa(machine, 32));
	cr_assert_eq(slot.bytes, UINT64_C(16) << machine->page_shift);
	cr_assert_eq(slot.hva, machine_hva(machine, 16));
	cr_assert_eq(slot.flags, 0);
	cr_assert_eq(slot.id, 1);
	CHECK_REFUSED(machine, before, vmmu_slot_get(machine->vm, 0, 2, &slot), -ENOENT);
	CHECK_REFUSED(machine, before, vmmu_slot_get(machine->vm, 1, 0, &slot), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_slot_get(machine->vm, 0, VMMU_SLOT_IDS, &slot),
		      -EINVAL);
	cr_assert_eq(vmmu_slot_generation(machine->vm, 1), 0);
	cr_assert_eq(vmmu_slot_generation(machine->vm, ~0u), 0);
	machine_destroy(machine);
}

FORMAT_TEST(arguments, dirty_get__refuses_without_losing_a_bit)
{
	struct machine *machine = machine_in_use(*index);
	struct state before = state_of(machine);
	uint64_t bits[2] = {0};

	CHECK_REFUSED(machine, before, vmmu_dirty_get(machine->vm, 1, 0, bits, 64, NULL), -EINVAL);
	CHECK_REFUSED(machine, before,
		      vmmu_dirty_get(machine->vm, 0, VMMU_SLOT_IDS, bits, 64, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_dirty_get(machine->vm, 0, 0, bits, 63, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_dirty_get(machine->vm, 0, 0, bits, 0, NULL), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_dirty_get(machine->vm, 0, 9, bits, 64, NULL), -ENOENT);
	CHECK_REFUSED(machine, before, vmmu_dirty_get(machine->vm, 0, 1, bits, 64, NULL), -ENOENT);
	cr_assert_eq(bits[0], 0);
	cr_assert_eq(vmmu_dirty_get(machine->vm, 0, 0, bits, 64, NULL), 0);
	cr_assert_eq(bits[0], 1 << 3);
	machine_destroy(machine);
}

FORMAT_TEST(arguments, invalidate__refuses_empty_ranges_and_ends_without_begin)
{
	struct machine *machine = machine_in_use(*index);
	struct vmmu_hva_range page = {HOST_VA, HOST_VA + 1}, other = {HOST_VA, HOST_VA + 2};
	struct vmmu_hva_range empty = {HOST_VA, HOST_VA}, inverted = {HOST_VA + 2, HOST_VA};
	struct state before = state_of(machine);

	CHECK_REFUSED(machine, before, vmmu_invalidate_begin(machine->vm, &empty), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_invalidate_begin(machine->vm, &inverted), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_invalidate_end(machine->vm, &empty), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_invalidate_end(machine->vm, &page), -EINVAL);
	cr_assert_eq(vmmu_invalidate_begin(machine->vm, &page), 0);
	cr_assert_eq(vmmu_invalidate_end(machine->vm, &other), -EINVAL);
	cr_assert_eq(vmmu_invalidate_end(machine->vm, &page), 0);
	cr_assert_eq(vmmu_invalidate_end(machine->vm, &page), -EINVAL);
	machine_touch(machine, 3, VMMU_WRITE);
	machine_destroy(machine);
}

/* Calls of the other mode. */
FORMAT_TEST(arguments, calls_about_faults__are_not_for_ranges)
{
	struct machine *machine = machine_create(*index, NULL);
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = machine->format,
					  .env = &machine_env,
					  .env_ctx = machine,
					  .mode = VMMU_MODE_RANGES};
	struct vmmu_hva_range range = {machine_hva(machine, 1), machine_hva(machine, 2)};
	struct vmmu_page page = {.pfn = 1};
	struct vmmu_update update;
	struct vmmu_reader reader;
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;

	cr_assert_eq(vmmu_vm_create(&options, &vm), 0);
	cr_assert_eq(vmmu_vcpu_create(vm, 0, &vcpu), 0);
	cr_assert_eq(vmmu_age(vm, &range), -ENOTSUP);
	cr_assert_eq(vmmu_test_age(vm, &range), -ENOTSUP);
	cr_assert_eq(vmmu_remap(vm, range.start, &page), -ENOTSUP);
	cr_assert_eq(vmmu_prefault(vcpu, 0, machine_gpa(machine, 1), NULL), -ENOTSUP);
	cr_assert_eq(vmmu_tables_quota_set(vm, 100), -ENOTSUP);
	cr_assert_eq(vmmu_update_begin(vm, 0, &update), 0);
	vmmu_update_end(&update);
	cr_assert_eq(vmmu_reader_begin(vm, 0, &reader), 0);
	cr_assert_eq(vmmu_update_begin(vm, 0, &update), -EDEADLK);
	vmmu_reader_end(&reader);
	vmmu_vm_destroy(vm);
	machine_destroy(machine);
}

static int count_visit(void *ctx, const struct vmmu_visit *visit)
{
	(void)visit;
	++*(unsigned *)ctx;
	return 0;
}

static int count_frame(void *ctx, const struct vmmu_table_frame *frame)
{
	(void)frame;
	++*(unsigned *)ctx;
	return 0;
}

FORMAT_TEST(arguments, calls_that_lock_inside_a_reader__are_refused)
{
	struct machine *machine = machine_in_use(*index);
	struct vmmu_reader reader;
	unsigned count = 0;

	cr_assert_eq(vmmu_reader_begin(machine->vm, 0, &reader), 0);
	cr_assert_eq(vmmu_visit(machine->vm, count_visit, &count), -EDEADLK);
	cr_assert_eq(vmmu_tables(machine->vm, count_frame, &count), -EDEADLK);
	vmmu_reader_end(&reader);
	cr_assert_eq(count, 0);
	cr_assert_eq(vmmu_visit(machine->vm, count_visit, &count), 0);
	cr_assert_eq(vmmu_tables(machine->vm, count_frame, &count), 0);
	cr_assert_gt(count, 0);
	machine_destroy(machine);
}

FORMAT_TEST(arguments, walk__refuses_what_is_not_there)
{
	struct machine *machine = machine_in_use(*index);
	struct state before = state_of(machine);
	struct vmmu_walk walk;

	CHECK_REFUSED(machine, before, vmmu_walk(machine->vm, 1, 0, &walk), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_walk(machine->vm, ~0u, 0, &walk), -EINVAL);
	CHECK_REFUSED(machine, before, vmmu_walk(machine->vm, 0, UINT64_MAX, &walk), -ENOENT);
	machine_destroy(machine);
}

FORMAT_TEST(arguments, entry_read__refuses_levels_out_of_range)
{
	const struct vmmu_format *format = outside_at(*index);
	unsigned levels = vmmu_format_info(format)->geometry->levels;
	struct vmmu_entry entry;

	cr_assert_eq(vmmu_entry_read(format, 0, 0, &entry), -EINVAL);
	cr_assert_eq(vmmu_entry_read(format, 0, levels + 1, &entry), -EINVAL);
	cr_assert_eq(vmmu_entry_read(format, 0, ~0u, &entry), -EINVAL);
	for (unsigned level = 1; level <= levels; level++) {
		cr_assert_eq(vmmu_entry_read(format, 0, level, &entry), 0);
		cr_assert_eq(vmmu_entry_read(format, UINT64_MAX, level, &entry), 0);
	}
}

Test(arguments, names__are_total)
{
	cr_assert_str_eq(vmmu_outcome_name(VMMU_FIXED), "fixed");
	cr_assert_str_eq(vmmu_outcome_name(VMMU_RETRY), "retry");
	cr_assert_str_eq(vmmu_outcome_name(-1), "?");
	cr_assert_str_eq(vmmu_outcome_name(VMMU_OUTCOMES), "?");
	cr_assert_str_eq(vmmu_outcome_name(INT32_MIN), "?");
	cr_assert_null(vmmu_format_find("nonesuch"));
	cr_assert_null(vmmu_format_find(""));
	cr_assert_null(vmmu_format_find(NULL));
	cr_assert_null(vmmu_format_at(~0u));
}

/* Any gpa and any mixture of hints gives an outcome, and tables that pass the audit. */
FORMAT_TEST(arguments, any_fault__ends_in_an_outcome)
{
	struct machine *machine = machine_in_use(*index);
	uint64_t gpa = 1;

	for (unsigned n = 0; n < 4000; n++) {
		struct vmmu_fault fault = {.access = 1u << n % 3, .flags = n / 3 % 64};
		int outcome;

		gpa = gpa * UINT64_C(6364136223846793005) + 1442695040888963407u;
		fault.gpa = n & 1 ? gpa >> n % 64 : gpa % (20u << machine->page_shift);
		model_note_access(machine, 0, fault.gpa >> machine->page_shift, VMMU_READ);
		outcome = vmmu_fault(machine->vcpu[0].vcpu, &fault);
		cr_assert(outcome >= 0 && outcome < VMMU_OUTCOMES, "gpa %#llx: %d",
			  (unsigned long long)fault.gpa, outcome);
	}
	machine_check_range(machine, 0, 0, 64);
	machine_destroy(machine);
}

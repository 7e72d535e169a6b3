/* SPDX-License-Identifier: MIT */
/* The contract with an embedder: structs that grow, calls from callbacks, vCPUs between threads. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "faults/harness.h"

/* A caller's struct with room behind it for what a later version may add. */
struct later_options {
	struct vmmu_vm_options known;
	uint64_t unknown[4];
};

static int create(const struct vmmu_vm_options *options)
{
	struct vmmu_vm *vm = NULL;
	int err = vmmu_vm_create(options, &vm);

	vmmu_vm_destroy(vm);
	return err;
}

FORMAT_TEST(embed, options_of_other_versions__are_taken_where_that_is_safe)
{
	struct vmmu_env env = machine_env;
	struct later_options later = {
		.known = {.format = outside_at(*index), .env = &env, .max_level = 99}};

	/* The oldest caller ends before max_level, which is not looked at. */
	later.known.size = offsetof(struct vmmu_vm_options, tables_hpa);
	cr_assert_eq(create(&later.known), 0);
	later.known.size--;
	cr_assert_eq(create(&later.known), -EINVAL);
	later.known.size = sizeof(later.known);
	cr_assert_eq(create(&later.known), -EINVAL, "max_level 99 is seen now");
	later.known.max_level = 0;
	cr_assert_eq(create(&later.known), 0);
	later.known.size = sizeof(later);
	cr_assert_eq(create(&later.known), 0);
	later.unknown[3] = UINT64_C(1) << 63;
	cr_assert_eq(create(&later.known), -EINVAL, "asks for what we do not know");
	later.known.size = SIZE_MAX;
	cr_assert_eq(create(&later.known), -EINVAL);
}

FORMAT_TEST(embed, environments_of_other_versions__are_taken_where_that_is_safe)
{
	struct {
		struct vmmu_env known;
		uint64_t unknown;
	} env = {.known = machine_env};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .root = test_root(),
					  .format = outside_at(*index),
					  .env = &env.known};

	env.known.size = offsetof(struct vmmu_env, host_level);
	cr_assert_eq(create(&options), 0);
	env.known.size--;
	cr_assert_eq(create(&options), -EINVAL);
	env.known.size = sizeof(env);
	cr_assert_eq(create(&options), 0);
	env.unknown = 1;
	cr_assert_eq(create(&options), -EINVAL);
}

/* What the callbacks of the next tests call, and what came of it. */
static struct machine *inner;
static unsigned refused, calls;

static void expect(int err, int wanted)
{
	calls++;
	refused += err == wanted;
}

/* Every call that takes a lock, from a place where that would never come to an end. */
static void call_everything(void)
{
	struct vmmu_hva_range range = {machine_hva(inner, 1), machine_hva(inner, 2)};
	struct vmmu_slot slot = {
		.id = 5, .gpa = machine_gpa(inner, 4096), .bytes = machine_gpa(inner, 1)};
	struct vmmu_page page = {.pfn = 1};
	struct vmmu_audit audit;
	struct vmmu_digest digest;
	struct vmmu_stats stats;
	struct vmmu_vcpu *vcpu;
	uint64_t bitmap[4];
	struct vmmu_dirty_range dirty = {.pages = 64, .bitmap = bitmap};

	expect(vmmu_slot_set(inner->vm, &slot), -EDEADLK);
	expect(vmmu_slot_get(inner->vm, 0, 0, &slot), -EDEADLK);
	expect(vmmu_attributes_set(inner->vm, 0, machine_gpa(inner, 1), 0), -EDEADLK);
	expect(vmmu_dirty_get(inner->vm, 0, 0, bitmap, 256, NULL), -EDEADLK);
	expect(vmmu_dirty_clear(inner->vm, &dirty, NULL), -EDEADLK);
	expect(vmmu_invalidate_begin(inner->vm, &range), -EDEADLK);
	expect(vmmu_invalidate_end(inner->vm, &range), -EDEADLK);
	expect(vmmu_remap(inner->vm, range.start, &page), -EDEADLK);
	expect(vmmu_zap_all(inner->vm), -EDEADLK);
	expect(vmmu_tables_quota_set(inner->vm, 100), -EDEADLK);
	expect(vmmu_vcpu_create(inner->vm, 2, &vcpu), -EDEADLK);
	expect(vmmu_audit(inner->vm, &audit, NULL, NULL), -EDEADLK);
	expect(vmmu_digest(inner->vm, &digest), -EDEADLK);
	vmmu_vm_stats(inner->vm, &stats);
	expect(stats.tables ? 0 : -EDEADLK, -EDEADLK);
	/* These two leave what they were given alone. */
	vmmu_vcpu_destroy(inner->vcpu[0].vcpu);
	vmmu_vm_destroy(inner->vm);
	/* And those that take no lock answer. */
	expect(vmmu_test_age(inner->vm, &range) >= 0, 1);
	expect(vmmu_slot_generation(inner->vm, 0) != UINT64_MAX, 1);
}

static void flush_that_calls(void *ctx, const struct vmmu_flush *flush)
{
	if (!flush->local && !calls)
		call_everything();
	machine_env.flush(ctx, flush);
}

static void kick_that_calls(void *ctx, unsigned vcpu_id)
{
	if (!calls)
		call_everything();
	machine_env.kick(ctx, vcpu_id);
}

static enum vmmu_resolve_status prefetch_that_calls(void *ctx,
						    const struct vmmu_page_request *request,
						    struct vmmu_page *page)
{
	if ((request->flags & VMMU_RESOLVE_NO_FAULT) && !calls)
		call_everything();
	return machine_env.resolve(ctx, request, page);
}

/* A machine whose VM is of ENV instead of the usual one. */
static struct machine *machine_of_env(unsigned format_index, const struct vmmu_env *env)
{
	struct machine_options options = {.host_pages = 64, .env = env};
	struct machine *machine = machine_create(format_index, &options);

	machine_slot(machine, 0, 0, 32, 0, VMMU_SLOT_LOG_DIRTY);
	machine_slot(machine, 1, 64, 32, 32, 0);
	inner = machine;
	calls = refused = 0;
	return machine;
}

static void check_calls(struct machine *machine)
{
	cr_assert_eq(calls, 16);
	cr_assert_eq(refused, calls);
	machine_touch(machine, 5, VMMU_WRITE);
	machine_destroy(machine);
}

FORMAT_TEST(embed, calls_from_flush__are_refused_not_stuck)
{
	struct vmmu_env env = machine_env;
	struct machine *machine;

	env.flush = flush_that_calls;
	machine = machine_of_env(*index, &env);
	machine_touch(machine, 3, VMMU_WRITE);
	cr_assert_eq(machine_invalidate_begin(machine, 3, 1), 0);
	cr_assert_eq(machine_invalidate_end(machine, 3, 1), 0);
	check_calls(machine);
}

FORMAT_TEST(embed, calls_from_kick__are_refused_not_stuck)
{
	struct vmmu_env env = machine_env;
	struct machine *machine;

	env.kick = kick_that_calls;
	machine = machine_of_env(*index, &env);
	machine_touch(machine, 3, VMMU_WRITE);
	cr_assert_eq(vmmu_zap_all(machine->vm), 0);
	check_calls(machine);
}

FORMAT_TEST(embed, calls_from_a_lookup_ahead__are_refused_not_stuck)
{
	struct vmmu_env env = machine_env;
	struct machine *machine;

	env.resolve = prefetch_that_calls;
	machine = machine_of_env(*index, &env);
	machine_touch(machine, 70, VMMU_WRITE);
	if ((machine->info->caps & VMMU_CAP_HW_DIRTY) && !is_tdp())
		cr_assert_eq(calls, 16);
	cr_assert_eq(refused, calls);
	machine_destroy(machine);
}

static void call_from_lookup(struct machine *machine, const struct vmmu_page_request *request)
{
	struct vmmu_fault fault = {.gpa = machine_gpa(machine, 9), .access = VMMU_READ};
	struct vmmu_vcpu *vcpu = machine->vcpu[0].vcpu;
	struct vmmu_root root;

	(void)request;
	expect(vmmu_fault(vcpu, &fault), -EBUSY);
	expect(vmmu_prefault(vcpu, 0, machine_gpa(machine, 1), NULL), -EBUSY);
	expect(vmmu_vcpu_root(vcpu, &root, NULL), -EBUSY);
	expect(vmmu_vcpu_set_as(vcpu, 0), -EBUSY);
	vmmu_vcpu_destroy(vcpu);
}

/* One call per vCPU at a time: not even from inside itself. */
FORMAT_TEST(embed, calls_on_the_vcpu_from_its_lookup__are_refused)
{
	struct machine *machine = machine_of_env(*index, &machine_env);

	machine->on_resolve = call_from_lookup;
	machine_touch(machine, 70, VMMU_WRITE);
	cr_assert_eq(calls, 4);
	cr_assert_eq(refused, 4);
	machine_touch(machine, 71, VMMU_WRITE);
	machine_destroy(machine);
}

/* The update would wait for the end that this thread is yet to call. */
FORMAT_TEST(embed, slot_update_between_begin_and_end__is_refused)
{
	struct machine *machine = machine_create(*index, NULL);
	struct vmmu_slot slot = {.bytes = machine_gpa(machine, 8), .hva = HOST_VA};

	machine_slot(machine, 1, 64, 32, 32, 0);
	cr_assert_eq(machine_invalidate_begin(machine, 3, 1), 0);
	cr_assert_eq(vmmu_slot_set(machine->vm, &slot), -EDEADLK);
	cr_assert_eq(machine_invalidate_end(machine, 3, 1), 0);
	machine_slot(machine, 0, 0, 8, 0, 0);
	machine_destroy(machine);
}

FORMAT_TEST(embed, calls_inside_a_reader__are_refused)
{
	struct machine *machine = machine_of_env(*index, &machine_env);
	struct vmmu_fault fault = {.gpa = machine_gpa(machine, 9), .access = VMMU_READ};
	struct vmmu_reader reader;

	machine_touch(machine, 70, VMMU_WRITE);
	cr_assert_eq(vmmu_reader_begin(machine->vm, 0, &reader), 0);
	call_everything();
	expect(vmmu_fault(machine->vcpu[0].vcpu, &fault), -EDEADLK);
	vmmu_reader_end(&reader);
	cr_assert_eq(refused, calls);
	machine_touch(machine, 9, VMMU_READ);
	machine_destroy(machine);
}

static void *touch_some(void *arg)
{
	struct machine *machine = arg;

	/* No registration: the first read does it. */
	for (uint64_t gfn = 64; gfn < 96; gfn++) {
		struct vmmu_fault fault = {.gpa = machine_gpa(machine, gfn), .access = VMMU_WRITE};
		struct vmmu_root root;

		if (vmmu_vcpu_root(machine->vcpu[0].vcpu, &root, NULL) ||
		    vmmu_fault(machine->vcpu[0].vcpu, &fault) < 0)
			return machine;
	}
	return NULL;
}

/* From thread to thread, each of which ends before the next begins. */
FORMAT_TEST(embed, vcpu_that_moves_between_threads__goes_on)
{
	struct machine *machine = machine_of_env(*index, &machine_env);
	pthread_t thread;
	void *failed;

	machine->host.rest.pfn = HOST_PFN;
	for (unsigned n = 0; n < 6; n++) {
		cr_assert_eq(pthread_create(&thread, NULL, touch_some, machine), 0);
		pthread_join(thread, &failed);
		cr_assert_null(failed);
		cr_assert_eq(machine_stats(machine).mapped[1], 32);
		cr_assert_eq(vmmu_zap_all(machine->vm), 0);
		machine_touch(machine, 70, VMMU_READ);
	}
	machine_destroy(machine);
}

static void *translate_once(void *arg)
{
	struct machine *machine = arg;
	uint64_t hpa = vmmu_translate_once(machine->vm, 0, machine_gpa(machine, 70));

	return hpa == machine_gpa(machine, HOST_PFN + 38) ? NULL : machine;
}

FORMAT_TEST(embed, first_call_of_a_thread__may_be_a_translation)
{
	struct machine *machine = machine_of_env(*index, &machine_env);
	pthread_t thread;
	void *failed;

	machine_touch(machine, 70, VMMU_READ);
	cr_assert_eq(pthread_create(&thread, NULL, translate_once, machine), 0);
	pthread_join(thread, &failed);
	cr_assert_null(failed);
	cr_assert_eq(vmmu_zap_all(machine->vm), 0, "waits for no reader that is gone");
	machine_destroy(machine);
}

static enum vmmu_resolve_status resolve_nonsense_ahead(void *ctx,
						       const struct vmmu_page_request *request,
						       struct vmmu_page *page)
{
	enum vmmu_resolve_status status = machine_env.resolve(ctx, request, page);

	if (!(request->flags & VMMU_RESOLVE_NO_FAULT))
		return status;
	calls++;
	*page = (struct vmmu_page){.pfn = UINT64_MAX, .level = 99, .writable = true, .memtype = 99};
	return VMMU_RESOLVE_OK;
}

/* No pfn that an entry could hold, no level, no type. */
FORMAT_TEST(embed, nonsense_for_a_page_ahead__maps_nothing)
{
	struct vmmu_env env = machine_env;
	struct machine *machine;

	env.resolve = resolve_nonsense_ahead;
	machine = machine_of_env(*index, &env);
	machine_touch(machine, 70, VMMU_READ);
	cr_assert_eq(!calls, is_tdp() || !(machine->info->caps & VMMU_CAP_HW_DIRTY));
	cr_assert_eq(machine_stats(machine).mapped[1], 1);
	machine_destroy(machine);
}

/* Nothing of one VM shows in another, of the same format or not. */
FORMAT_TEST(embed, several_vms__do_not_meet)
{
	struct machine *one = machine_create(*index, NULL), *two = machine_create(0, NULL);

	machine_slot(one, 0, 0, 16, 0, 0);
	machine_slot(two, 0, 0, 16, 16, 0);
	machine_touch(one, 3, VMMU_WRITE);
	machine_touch(two, 3, VMMU_WRITE);
	cr_assert_eq(machine_walk(one, 0, 3).pfn, HOST_PFN + 3);
	cr_assert_eq(machine_walk(two, 0, 3).pfn, HOST_PFN + 19);
	cr_assert_eq(vmmu_zap_all(one->vm), 0);
	cr_assert_eq(machine_touch(two, 3, VMMU_WRITE).faults, 0);
	machine_touch(one, 4, VMMU_READ);
	machine_destroy(two);
	machine_touch(one, 3, VMMU_WRITE);
	machine_destroy(one);
}

/* A window of WINDOW_PAGES smallest tables, not aligned to anything larger, with garbage in it. */
#define WINDOW_PAGES 40

struct window {
	unsigned char *memory;
	uint64_t bytes, hpa;
};

static struct machine *machine_in_window(unsigned format_index, struct window *window)
{
	const struct vmmu_geometry *geometry;
	struct machine *machine = machine_create(format_index, NULL);
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .root = test_root(),
					  .format = machine->format,
					  .env = &machine_env,
					  .env_ctx = machine,
					  .tables_max = 20};

	geometry = machine->geometry;
	window->bytes = (uint64_t)WINDOW_PAGES << geometry->page_shift;
	/* An odd page of host memory: a root of four pages must find its own alignment. */
	window->hpa = (UINT64_C(0x1235) << geometry->page_shift);
	window->memory = aligned_alloc(UINT64_C(1) << geometry->page_shift, window->bytes);
	cr_assert_not_null(window->memory);
	memset(window->memory, 0xa5, window->bytes);
	options.tables = window->memory;
	options.tables_hpa = window->hpa;
	options.tables_bytes = window->bytes;
	machine_replace(machine, &options);
	return machine;
}

static int check_frame(void *ctx, const struct vmmu_table_frame *frame)
{
	const struct window *window = ctx;

	cr_assert_geq(frame->hpa, window->hpa);
	cr_assert_leq(frame->hpa + frame->bytes, window->hpa + window->bytes);
	cr_assert_eq(frame->hpa % frame->bytes, 0, "naturally aligned as hardware sees it");
	cr_assert_eq((uintptr_t)frame->data,
		     (uintptr_t)window->memory + (frame->hpa - window->hpa));
	return 0;
}

FORMAT_TEST(embed, tables_in_the_embedders_memory__stay_there)
{
	struct window window;
	struct machine *machine = machine_in_window(*index, &window);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, 0, 40 * block, 0, 0);
	for (unsigned n = 0; n < 120; n++) {
		machine_touch(machine, n % 40 * block + n, VMMU_WRITE);
		if (n % 50 == 49)
			cr_assert_eq(vmmu_zap_all(machine->vm), 0);
		cr_assert_eq(vmmu_tables(machine->vm, check_frame, &window), 0);
	}
	machine_audit(machine);
	cr_assert_leq(machine_stats(machine).table_bytes, window.bytes);
	machine_destroy(machine);
	free(window.memory);
}

FORMAT_TEST(embed, unusable_memory_for_tables__is_refused)
{
	struct vmmu_env env = machine_env;
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .root = test_root(),
					  .format = outside_at(*index),
					  .env = &env};
	uint64_t page = UINT64_C(1) << vmmu_format_info(options.format)->geometry->page_shift;
	unsigned char *memory = aligned_alloc(page, 64 * page);

	options.tables = memory;
	options.tables_hpa = page;
	cr_assert_eq(create(&options), -EINVAL, "no size");
	options.tables_bytes = 64 * page;
	cr_assert_eq(create(&options), 0);
	options.tables_hpa = 0;
	cr_assert_eq(create(&options), -EINVAL, "no address");
	options.tables_hpa = page + 512;
	cr_assert_eq(create(&options), -EINVAL);
	options.tables_hpa = page;
	options.tables_bytes = 64 * page - 512;
	cr_assert_eq(create(&options), -EINVAL);
	options.tables_bytes = 32 * page;
	options.tables = memory + 512;
	cr_assert_eq(create(&options), -EINVAL);
	free(memory);
}

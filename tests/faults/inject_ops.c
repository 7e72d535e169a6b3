/* SPDX-License-Identifier: MIT */
/* The stage, and every public operation that may run out of something, as rows. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "faults/inject.h"
#include "faults/lender.h"
#include "faults/roots.h"

#define HVA   (UINT64_C(1) << 46)
#define HEAP  (1u << INJECT_HEAP)
#define FRAME (1u << INJECT_FRAME | 1u << INJECT_LENDER)
/* a lent one may be left of what was asked for ahead */
#define OWN     (1u << INJECT_FRAME)
#define LOOKUP  (1u << INJECT_CALLBACK)
#define DATA(x) VMMU_TEST_DATA "/traces/" x

/* ---- the stage ---- */

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	struct inject_stage *stage = ctx;

	*page = (struct vmmu_page){.pfn = request->gfn, .level = 2, .writable = true};
	if (stage->lookups_left >= 0 && stage->lookups_left-- == 0) {
		stage->has_answered = true;
		return stage->answer;
	}
	return VMMU_RESOLVE_OK;
}

static unsigned host_level(void *ctx, uint64_t hva, uint64_t gfn)
{
	(void)ctx;
	(void)hva;
	(void)gfn;
	return 2;
}

static void on_bug(void *ctx, const char *what)
{
	struct inject_stage *stage = ctx;

	(void)what;
	stage->bugs++;
}

static const struct vmmu_env env = {
	.size = sizeof(env), .resolve = resolve, .host_level = host_level, .on_bug = on_bug};

static int vm_create(struct inject_stage *stage, enum vmmu_mode mode, struct vmmu_vm **vm)
{
	struct vmmu_env lent = env;
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .root = mode == VMMU_MODE_FAULTS ? test_root()
									   : VMMU_ROOT_DIRECT,
					  .format = stage->format,
					  .env = &env,
					  .env_ctx = stage,
					  .address_spaces = 2,
					  .mode = mode};

	if (stage->is_lent)
		lender_serve(&options, &lent);
	return vmmu_vm_create(&options, vm);
}

static int slot_set(struct inject_stage *stage, unsigned id, uint64_t page, uint64_t pages,
		    unsigned flags)
{
	struct vmmu_slot slot = {.id = id,
				 .flags = flags,
				 .gpa = inject_gpa(stage, page),
				 .bytes = inject_gpa(stage, pages),
				 .hva = HVA + inject_gpa(stage, id * 4 * stage->large)};

	return vmmu_slot_set(stage->vm, &slot);
}

void inject_stage_make(struct inject_stage *stage, const struct vmmu_format *format,
		       enum vmmu_mode mode, enum inject_kind kind)
{
	*stage = (struct inject_stage){.format = format,
				       .geometry = vmmu_format_info(format)->geometry,
				       .is_lent = kind == INJECT_LENDER,
				       .lookups_left = -1};
	if (stage->is_lent)
		lender_begin(inject_gpa(stage, 1));
	stage->large = UINT64_C(1) << (stage->geometry->shift[2] - stage->geometry->page_shift);
	cr_assert_eq(vm_create(stage, mode, &stage->vm), 0);
	cr_assert_eq(vmmu_vcpu_create(stage->vm, 0, &stage->vcpu), 0);
	if (mode == VMMU_MODE_RANGES)
		return;
	/* slot 0: two large pages; slot 1: not aligned, four large pages up */
	cr_assert_eq(slot_set(stage, 0, 0, 2 * stage->large, 0), 0);
	cr_assert_eq(slot_set(stage, 1, 4 * stage->large + 3, 100, 0), 0);
}

void inject_stage_end(struct inject_stage *stage)
{
	vmmu_trace_close(stage->trace);
	vmmu_vm_destroy(stage->other_vm);
	vmmu_vm_destroy(stage->vm);
	if (stage->is_lent)
		lender_end();
	if (stage->other_format)
		cr_assert_eq(vmmu_format_unregister(stage->other_format), 0);
}

/* ---- VMs, vCPUs, roots ---- */

static int run_vm_create(struct inject_stage *stage)
{
	return vm_create(stage, VMMU_MODE_FAULTS, &stage->other_vm);
}

static int run_vcpu_create(struct inject_stage *stage)
{
	return vmmu_vcpu_create(stage->vm, 1, &stage->other_vcpu);
}

static int run_root(struct inject_stage *stage)
{
	struct vmmu_root root;
	bool must_flush;

	return vmmu_vcpu_root(stage->vcpu, &root, &must_flush);
}

static void prepare_root_other_as(struct inject_stage *stage)
{
	cr_assert_eq(run_root(stage), 0);
	cr_assert_eq(vmmu_vcpu_set_as(stage->vcpu, 1), 0);
}

static int run_quota(struct inject_stage *stage)
{
	return vmmu_tables_quota_set(stage->vm, VMMU_TABLES_MIN);
}

static int run_zap_all(struct inject_stage *stage)
{
	int result = vmmu_zap_all(stage->vm);

	return result ? result : run_root(stage);
}

/* ---- faults ---- */

static int fault_at(struct inject_stage *stage, uint64_t page, unsigned access)
{
	struct vmmu_fault fault = {.gpa = inject_gpa(stage, page), .access = access};

	return vmmu_fault(stage->vcpu, &fault);
}

static int run_fault_large(struct inject_stage *stage)
{
	return fault_at(stage, stage->large + 5, VMMU_WRITE);
}

static int run_fault_small(struct inject_stage *stage)
{
	return fault_at(stage, 4 * stage->large + 9, VMMU_WRITE);
}

static int run_fault_mmio(struct inject_stage *stage)
{
	return fault_at(stage, 9 * stage->large + 1, VMMU_READ);
}

static int run_fault_ready(struct inject_stage *stage)
{
	struct vmmu_fault fault = {.gpa = inject_gpa(stage, 4 * stage->large + 9),
				   .access = VMMU_WRITE,
				   .flags = VMMU_FAULT_NO_WAIT};

	return vmmu_fault_ready(stage->vcpu, &fault);
}

/* -EAGAIN: some of it. */
static int run_prefault(struct inject_stage *stage)
{
	uint64_t bytes = inject_gpa(stage, 2 * stage->large), done = 0;
	int result = vmmu_prefault(stage->vcpu, 0, bytes, &done);

	return result || done == bytes ? result : -EAGAIN;
}

/* A large page, a small one, an MMIO entry. */
static void prepare_mapped(struct inject_stage *stage)
{
	cr_assert_eq(run_fault_large(stage), VMMU_FIXED);
	cr_assert_eq(run_fault_small(stage), VMMU_FIXED);
	cr_assert_eq(run_fault_mmio(stage), VMMU_EMULATE);
}

static void prepare_logged(struct inject_stage *stage)
{
	prepare_mapped(stage);
	cr_assert_eq(slot_set(stage, 0, 0, 2 * stage->large, VMMU_SLOT_LOG_DIRTY), 0);
	cr_assert_eq(run_fault_large(stage), VMMU_FIXED);
}

/* ---- slots ---- */

static int run_slot_create(struct inject_stage *stage)
{
	return slot_set(stage, 2, 6 * stage->large, stage->large, VMMU_SLOT_LOG_DIRTY);
}

static int run_slot_move(struct inject_stage *stage)
{
	return slot_set(stage, 1, 5 * stage->large + 3, 100, 0);
}

static int run_slot_log(struct inject_stage *stage)
{
	return slot_set(stage, 0, 0, 2 * stage->large, VMMU_SLOT_LOG_DIRTY);
}

static int run_slot_unlog(struct inject_stage *stage)
{
	return slot_set(stage, 0, 0, 2 * stage->large, 0);
}

static int run_slot_delete(struct inject_stage *stage)
{
	return slot_set(stage, 0, 0, 0, 0);
}

static int run_attributes(struct inject_stage *stage)
{
	return vmmu_attributes_set(stage->vm, inject_gpa(stage, stage->large + 3),
				   inject_gpa(stage, 2), VMMU_ATTRIBUTE_PRIVATE);
}

static int run_dirty_get(struct inject_stage *stage)
{
	static uint64_t bitmap[2 * 8192 / 64];
	uint64_t bits = 2 * stage->large;

	return vmmu_dirty_get(stage->vm, 0, 0, bitmap, bits, NULL);
}

static int run_dirty_clear(struct inject_stage *stage)
{
	static uint64_t all[2 * 8192 / 64];
	struct vmmu_dirty_range range = {.pages = 2 * stage->large, .bitmap = all};

	memset(all, 0xff, sizeof(all));
	return vmmu_dirty_clear(stage->vm, &range, NULL);
}

/* ---- the host ---- */

static int run_invalidate(struct inject_stage *stage)
{
	struct vmmu_hva_range range = {HVA, HVA + inject_gpa(stage, stage->large)};
	int result = vmmu_invalidate_begin(stage->vm, &range);

	return result ? result : vmmu_invalidate_end(stage->vm, &range);
}

static int run_age(struct inject_stage *stage)
{
	struct vmmu_hva_range range = {HVA, HVA + inject_gpa(stage, stage->large)};

	return vmmu_age(stage->vm, &range);
}

static int run_remap(struct inject_stage *stage)
{
	struct vmmu_page page = {.pfn = 77};

	return vmmu_remap(stage->vm, HVA + inject_gpa(stage, 4 * stage->large + 6), &page);
}

/* ---- ranges ---- */

static int run_update_begin(struct inject_stage *stage)
{
	struct vmmu_update update;
	int result = vmmu_update_begin(stage->vm, 0, &update);

	if (!result)
		vmmu_update_end(&update);
	return result;
}

static int map_range(struct inject_stage *stage, uint64_t page, uint64_t pages)
{
	struct vmmu_update update;
	struct vmmu_attr attr;
	int result;

	cr_assert_eq(vmmu_attr_make(stage->vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &attr), 0);
	result = vmmu_update_begin(stage->vm, 0, &update);
	if (result)
		return result;
	result = vmmu_map(&update, inject_gpa(stage, page), inject_gpa(stage, page),
			  inject_gpa(stage, pages), &attr, NULL);
	vmmu_update_end(&update);
	return result;
}

static int run_map(struct inject_stage *stage)
{
	return map_range(stage, 3, 3 * stage->large);
}

static void prepare_ranges(struct inject_stage *stage)
{
	cr_assert_eq(map_range(stage, 0, 2 * stage->large), 0);
}

/* Unmap (ACCESS 0) or protect what cuts two large pages. */
static int cut_range(struct inject_stage *stage, unsigned access)
{
	uint64_t gpa = inject_gpa(stage, stage->large - 3), bytes = inject_gpa(stage, 6);
	struct vmmu_update update;
	int result = vmmu_update_begin(stage->vm, 0, &update);

	if (result)
		return result;
	result = access ? vmmu_protect(&update, gpa, bytes, access, NULL)
			: vmmu_unmap(&update, gpa, bytes, NULL);
	vmmu_update_end(&update);
	return result;
}

static int run_unmap(struct inject_stage *stage)
{
	return cut_range(stage, 0);
}

static int run_protect(struct inject_stage *stage)
{
	return cut_range(stage, VMMU_READ);
}

/* ---- traces, formats ---- */

static int open_trace(struct inject_stage *stage, const char *path, const char *layout)
{
	struct vmmu_trace_options options = {.size = sizeof(options), .layout = layout};

	return vmmu_trace_open(path, &options, &stage->trace, NULL, 0);
}

static int run_trace_open(struct inject_stage *stage)
{
	return open_trace(stage, DATA("arm64-linux6.1.tracefs.txt.gz"),
			  DATA("arm64-linux6.1.memslots.txt"));
}

static void prepare_trace(struct inject_stage *stage)
{
	cr_assert_eq(run_trace_open(stage), 0);
}

static int run_trace_read(struct inject_stage *stage)
{
	struct vmmu_trace_event event;
	int result = vmmu_trace_rewind(stage->trace);

	while (!result || result == 1) {
		result = vmmu_trace_next(stage->trace, &event);
		if (!result)
			break;
	}
	return result;
}

static int run_replay(struct inject_stage *stage)
{
	struct vmmu_replay_options options = {.size = sizeof(options), .format = stage->format};
	struct vmmu_replay_report report;

	return vmmu_replay(stage->trace, &options, &report);
}

static int run_register(struct inject_stage *stage)
{
	struct vmmu_format_info info = *vmmu_format_info(stage->format);

	info.name = "injected";
	return vmmu_format_register(&info, vmmu_format_ops(stage->format), &stage->other_format,
				    NULL, 0);
}

const struct inject_op inject_ops[] = {
	{"vm_create", NULL, run_vm_create, VMMU_MODE_FAULTS, HEAP},
	{"vcpu_create", NULL, run_vcpu_create, VMMU_MODE_FAULTS, HEAP},
	{"root", NULL, run_root, VMMU_MODE_FAULTS, FRAME},
	{"root of another as", prepare_root_other_as, run_root, VMMU_MODE_FAULTS, FRAME},
	{"quota", prepare_mapped, run_quota, VMMU_MODE_FAULTS, 0},
	{"zap_all", prepare_mapped, run_zap_all, VMMU_MODE_FAULTS, OWN},
	{"fault, large", NULL, run_fault_large, VMMU_MODE_FAULTS, HEAP | FRAME | LOOKUP},
	{"fault, small", NULL, run_fault_small, VMMU_MODE_FAULTS, HEAP | FRAME | LOOKUP},
	{"fault, mmio", NULL, run_fault_mmio, VMMU_MODE_FAULTS, FRAME},
	{"fault_ready", NULL, run_fault_ready, VMMU_MODE_FAULTS, HEAP | FRAME | LOOKUP},
	{"prefault", NULL, run_prefault, VMMU_MODE_FAULTS, HEAP | FRAME | LOOKUP},
	{"slot, create", prepare_mapped, run_slot_create, VMMU_MODE_FAULTS, HEAP},
	{"slot, move", prepare_mapped, run_slot_move, VMMU_MODE_FAULTS, HEAP},
	{"slot, log", prepare_mapped, run_slot_log, VMMU_MODE_FAULTS, HEAP},
	{"slot, stop log", prepare_logged, run_slot_unlog, VMMU_MODE_FAULTS, HEAP},
	{"slot, delete", prepare_mapped, run_slot_delete, VMMU_MODE_FAULTS, HEAP},
	{"attributes", prepare_mapped, run_attributes, VMMU_MODE_FAULTS, HEAP},
	{"dirty_get", prepare_logged, run_dirty_get, VMMU_MODE_FAULTS, 0},
	{"dirty_clear", prepare_logged, run_dirty_clear, VMMU_MODE_FAULTS, 0},
	{"invalidate", prepare_mapped, run_invalidate, VMMU_MODE_FAULTS, 0},
	{"age", prepare_mapped, run_age, VMMU_MODE_FAULTS, 0},
	{"remap", prepare_mapped, run_remap, VMMU_MODE_FAULTS, 0},
	{"update_begin", NULL, run_update_begin, VMMU_MODE_RANGES, FRAME},
	{"map", NULL, run_map, VMMU_MODE_RANGES, FRAME},
	{"unmap", prepare_ranges, run_unmap, VMMU_MODE_RANGES, FRAME},
	{"protect", prepare_ranges, run_protect, VMMU_MODE_RANGES, FRAME},
	{"trace_open", NULL, run_trace_open, VMMU_MODE_FAULTS, HEAP | INJECT_ONCE},
	{"trace_next", prepare_trace, run_trace_read, VMMU_MODE_FAULTS, HEAP | INJECT_ONCE},
	{"replay", prepare_trace, run_replay, VMMU_MODE_FAULTS, HEAP | INJECT_ONCE},
	{"format_register", NULL, run_register, VMMU_MODE_FAULTS, HEAP},
	{0},
};

/* SPDX-License-Identifier: MIT */
#include "guest.h"

#define GUEST_PFN UINT64_C(0x2000000)

static enum vmmu_resolve_status guest_resolve(void *ctx, const struct vmmu_page_request *request,
					      struct vmmu_page *page)
{
	(void)ctx;
	if (request->flags & VMMU_RESOLVE_NO_FAULT)
		return VMMU_RESOLVE_UNMAPPED;
	/* One page off: nothing larger fits. */
	*page = (struct vmmu_page){
		.pfn = GUEST_PFN + 1 + request->gfn, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

static enum vmmu_resolve_status guest_resolve_block(void *ctx,
						    const struct vmmu_page_request *request,
						    struct vmmu_page *page)
{
	(void)ctx;
	if (request->flags & VMMU_RESOLVE_NO_FAULT)
		return VMMU_RESOLVE_UNMAPPED;
	*page = (struct vmmu_page){.pfn = GUEST_PFN + request->gfn, .level = 2, .writable = true};
	return VMMU_RESOLVE_OK;
}

/* All of it is in one piece. */
static unsigned guest_resolve_ahead(void *ctx, const struct vmmu_page_request *request,
				    uint64_t count, struct vmmu_page_run *runs, unsigned max)
{
	(void)max;
	runs->pages = count;
	guest_resolve(ctx, request, &runs->page);
	return 1;
}

static unsigned guest_resolve_ahead_blocks(void *ctx, const struct vmmu_page_request *request,
					   uint64_t count, struct vmmu_page_run *runs, unsigned max)
{
	(void)max;
	runs->pages = count;
	guest_resolve_block(ctx, request, &runs->page);
	return 1;
}

void guest_open(struct bench_run *run, struct guest *guest, uint64_t pages,
		enum vmmu_root_mode root, unsigned level)
{
	guest_open_for(run, guest, &(struct guest_options){pages, root, level, false});
}

void guest_open_for(struct bench_run *run, struct guest *guest, const struct guest_options *wanted)
{
	unsigned level = wanted->level;
	uint64_t pages = wanted->pages;
	struct vmmu_env env = {.size = sizeof(env),
			       .resolve = level > 1 ? guest_resolve_block : guest_resolve};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = run->format,
					  .env = &env,
					  .root = wanted->root,
					  .dirty_flags = VMMU_DIRTY_MANUAL};

	if (wanted->tells_ahead)
		env.resolve_ahead = level > 1 ? guest_resolve_ahead_blocks : guest_resolve_ahead;
	*guest = (struct guest){.pages = pages,
				.step = level > 1 ? GUEST_BLOCK : GUEST_PAGE,
				.level = level,
				.ram = {.gpa = GUEST_GPA,
					.bytes = pages * GUEST_PAGE,
					.hva = UINT64_C(0x7f0000000000)}};
	bench_expect(run, !vmmu_vm_create(&options, &guest->vm) &&
				  !vmmu_vcpu_create(guest->vm, 0, &guest->vcpu) &&
				  !vmmu_slot_set(guest->vm, &guest->ram));
}

void guest_close(struct guest *guest)
{
	vmmu_vm_destroy(guest->vm);
}

void guest_clear(struct bench_run *run, struct guest *guest)
{
	struct vmmu_slot none = {.id = guest->ram.id};
	struct vmmu_root root;

	guest->ram.flags = 0;
	bench_expect(run, !vmmu_slot_set(guest->vm, &none) &&
				  !vmmu_slot_set(guest->vm, &guest->ram) &&
				  !vmmu_vcpu_root(guest->vcpu, &root, NULL));
}

void guest_warm(struct bench_run *run, struct guest *guest)
{
	uint64_t count = guest->pages * GUEST_PAGE / guest->step;

	bench_expect(run, guest_write(guest, guest->vcpu, 0, count, 1, 0) == count);
	guest_clear(run, guest);
}

uint64_t guest_write(const struct guest *guest, struct vmmu_vcpu *vcpu, uint64_t first,
		     uint64_t count, uint64_t step, unsigned flags)
{
	struct vmmu_fault fault = {.access = VMMU_WRITE, .flags = flags};
	uint64_t gpa = GUEST_GPA + first * guest->step, end = gpa + count * guest->step;
	uint64_t fixed = 0;

	for (; gpa < end; gpa += step * guest->step) {
		fault.gpa = gpa;
		fixed += vmmu_fault(vcpu, &fault) == VMMU_FIXED;
	}
	return fixed;
}

uint64_t guest_write_order(const struct guest *guest, const uint32_t *order, uint64_t count)
{
	struct vmmu_fault fault = {.access = VMMU_WRITE};
	uint64_t fixed = 0;

	for (uint64_t i = 0; i < count; i++) {
		fault.gpa = GUEST_GPA + order[i] * guest->step;
		fixed += vmmu_fault(guest->vcpu, &fault) == VMMU_FIXED;
	}
	return fixed;
}

void guest_measure(struct bench_run *run, const struct guest *guest, enum workload workload,
		   unsigned flags)
{
	uint64_t count = guest->pages * GUEST_PAGE / guest->step, fixed;
	struct vmmu_stats before, after;

	vmmu_vm_stats(guest->vm, &before);
	bench_begin(run);
	fixed = guest_write(guest, guest->vcpu, 0, count, 1, flags);
	bench_end(run, workload, count);
	vmmu_vm_stats(guest->vm, &after);
	bench_expect(run, fixed == count && after.mapped[guest->level] == count);
	bench_expect(run, after.fast_fixes - before.fast_fixes ==
				  (flags & VMMU_FAULT_PRESENT ? count : 0));
}

void guest_log(struct bench_run *run, struct guest *guest)
{
	guest->ram.flags = VMMU_SLOT_LOG_DIRTY;
	bench_expect(run, !vmmu_slot_set(guest->vm, &guest->ram));
}

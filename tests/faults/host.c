/* SPDX-License-Identifier: MIT */
/* The fake host: page lookups, invalidations, and a log of what the engine asked for. */
#include <string.h>

#include "faults/harness.h"

struct host_page host_page_at(const struct machine *machine, uint64_t index)
{
	struct host_page page;

	if (index < machine->host.count)
		return machine->host.pages[index];
	page = machine->host.rest;
	page.pfn += index;
	return page;
}

/* A request must be about a slot that exists, with the address that the slot gives. */
static void check_request(struct machine *machine, const struct vmmu_page_request *request)
{
	const struct model_slot *slot = model_slot_at(machine, request->as_id, request->gfn);
	unsigned known = VMMU_RESOLVE_NO_WAIT | VMMU_RESOLVE_NO_FAULT | VMMU_RESOLVE_PRIVATE;

	if (!slot)
		machine_fail(machine, "resolve of gfn %#llx, which has no slot",
			     (unsigned long long)request->gfn);
	if (request->slot_id != slot->set.id)
		machine_fail(machine, "resolve names slot %u, not %u", request->slot_id,
			     slot->set.id);
	if (request->hva !=
	    slot->set.hva + ((request->gfn - slot->base_gfn) << machine->page_shift))
		machine_fail(machine, "resolve of gfn %#llx has hva %#llx",
			     (unsigned long long)request->gfn, (unsigned long long)request->hva);
	if (!(request->flags & VMMU_RESOLVE_PRIVATE) == machine_is_private(machine, request->gfn))
		machine_fail(machine, "resolve of gfn %#llx as what it is not",
			     (unsigned long long)request->gfn);
	if (request->flags & ~known)
		machine_fail(machine, "resolve with flags %#x", request->flags);
	if (request->access != VMMU_READ && request->access != VMMU_WRITE &&
	    request->access != VMMU_EXEC)
		machine_fail(machine, "resolve with access %u", request->access);
}

static enum vmmu_resolve_status status_of(const struct machine *machine, struct host_page page,
					  const struct vmmu_page_request *request)
{
	if (request->flags & VMMU_RESOLVE_NO_FAULT)
		return machine->prefetch && page.status == HOST_RAM && page.writable
			       ? VMMU_RESOLVE_OK
			       : VMMU_RESOLVE_UNMAPPED;
	if (page.status == HOST_UNMAPPED)
		return VMMU_RESOLVE_UNMAPPED;
	if (page.status == HOST_POISONED)
		return VMMU_RESOLVE_POISONED;
	if (page.status == HOST_SLOW && (request->flags & VMMU_RESOLVE_NO_WAIT))
		return VMMU_RESOLVE_WOULD_BLOCK;
	if (request->access == VMMU_WRITE && !page.writable)
		return VMMU_RESOLVE_READ_ONLY;
	return page.status == HOST_IO ? VMMU_RESOLVE_IO : VMMU_RESOLVE_OK;
}

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *result)
{
	struct machine *machine = ctx;
	struct host_page page = host_page_at(machine,
					     (request->hva - HOST_VA) >> machine->page_shift);
	enum vmmu_resolve_status status = status_of(machine, page, request);

	check_request(machine, request);
	if (request->flags & VMMU_RESOLVE_NO_FAULT) {
		machine->prefetches++;
	} else {
		void (*hook)(struct machine *,
			     const struct vmmu_page_request *) = machine->on_resolve;

		machine->request = *request;
		machine->resolves++;
		machine->on_resolve = NULL;
		if (hook)
			hook(machine, request);
		if (machine->interrupts) {
			machine->interrupts--;
			return VMMU_RESOLVE_INTERRUPTED;
		}
	}
	if (machine->is_forced && !(request->flags & VMMU_RESOLVE_NO_FAULT)) {
		*result = machine->forced_page;
		return machine->forced_status;
	}
	if (status == VMMU_RESOLVE_OK || status == VMMU_RESOLVE_IO)
		*result = (struct vmmu_page){
			.pfn = page.pfn,
			.level = page.level,
			.memtype = page.memtype,
			.writable = page.writable,
		};
	return status;
}

static unsigned host_level(void *ctx, uint64_t hva, uint64_t gfn)
{
	struct machine *machine = ctx;

	(void)gfn;
	return host_page_at(machine, (hva - HOST_VA) >> machine->page_shift).level;
}

/* Is the page at INDEX + DISTANCE one with that at INDEX? */
static bool is_one(const struct machine *machine, uint64_t index, int64_t distance)
{
	struct host_page page = host_page_at(machine, index);
	struct host_page other = host_page_at(machine, index + (uint64_t)distance);

	return (other.status == HOST_RAM || other.status == HOST_IO) &&
	       other.pfn == page.pfn + (uint64_t)distance && other.status == page.status &&
	       other.writable == page.writable && other.memtype == page.memtype;
}

static unsigned host_span(void *ctx, uint64_t hva, uint64_t gfn)
{
	struct machine *machine = ctx;
	uint64_t index = (hva - HOST_VA) >> machine->page_shift;
	uint64_t pfn = host_page_at(machine, index).pfn;
	unsigned lg2 = 0;

	(void)gfn;
	machine->spans_asked++;
	/* doubled as long as the other half is like this one */
	while (lg2 < machine->span_lg2_max) {
		uint64_t pages = UINT64_C(1) << lg2, start = pfn & ~(2 * pages - 1);

		for (uint64_t i = 0; i < 2 * pages; i++)
			if (index < pfn - start ||
			    !is_one(machine, index, (int64_t)(start + i - pfn)))
				return lg2;
		lg2++;
	}
	return lg2;
}

static void flush(void *ctx, const struct vmmu_flush *flush)
{
	struct machine *machine = ctx;

	if (flush->gfn_start >= flush->gfn_end)
		machine_fail(machine, "flush of an empty range");
	if (flush->as_id >= machine->as_count)
		machine_fail(machine, "flush of address space %u", flush->as_id);
	if (flush->local && flush->vcpu_id >= machine->vcpu_count)
		machine_fail(machine, "local flush of vCPU %u", flush->vcpu_id);
	if (machine->flush_count < MACHINE_FLUSHES)
		machine->flushes[machine->flush_count] = *flush;
	machine->flush_count++;
	if (flush->local)
		machine->local_flushes++;
	else
		machine->all_flushes++;
	if (machine->hardware) {
		vmmu_machine_flush(machine->hardware, flush);
		return;
	}
	for (unsigned i = 0; i < machine->vcpu_count; i++) {
		if (!flush->local || flush->vcpu_id == i)
			tlb_flush_range(machine, i, flush->as_id, flush->gfn_start, flush->gfn_end);
	}
}

static void kick(void *ctx, unsigned vcpu_id)
{
	struct machine *machine = ctx;

	if (vcpu_id >= machine->vcpu_count)
		machine_fail(machine, "kick of vCPU %u", vcpu_id);
	machine->vcpu[vcpu_id].kicked = true;
	machine->vcpu[vcpu_id].kicks++;
	vmmu_machine_kick(machine->hardware, vcpu_id);
}

static void on_bug(void *ctx, const char *what)
{
	struct machine *machine = ctx;

	machine_op(machine, "BUG: %s", what);
	machine->bugs++;
}

static void event(void *ctx, const struct vmmu_event *event)
{
	struct machine *machine = ctx;

	vmmu_machine_event(machine->hardware, event);

	if ((unsigned)event->kind >= VMMU_EVENTS)
		machine_fail(machine, "event of kind %u", (unsigned)event->kind);
	machine->events[event->kind]++;
}

const struct vmmu_env machine_env = {
	.size = sizeof(struct vmmu_env),
	.resolve = resolve,
	.host_level = host_level,
	.host_span = host_span,
	.flush = flush,
	.kick = kick,
	.on_bug = on_bug,
	.event = event,
};

int machine_invalidate_begin(struct machine *machine, uint64_t index, uint64_t count)
{
	struct vmmu_hva_range range = {machine_hva(machine, index),
				       machine_hva(machine, index + count)};
	int result;

	machine_op(machine, "invalidate_begin host %llu+%llu", (unsigned long long)index,
		   (unsigned long long)count);
	result = vmmu_invalidate_begin(machine->vm, &range);
	cr_assert_lt(machine->invalidating_count, 4);
	if (!result)
		machine->invalidating[machine->invalidating_count++] = range;
	return result;
}

int machine_invalidate_end(struct machine *machine, uint64_t index, uint64_t count)
{
	struct vmmu_hva_range range = {machine_hva(machine, index),
				       machine_hva(machine, index + count)};

	machine_op(machine, "invalidate_end host %llu+%llu", (unsigned long long)index,
		   (unsigned long long)count);
	for (unsigned i = 0; i < machine->invalidating_count; i++) {
		if (memcmp(&machine->invalidating[i], &range, sizeof(range)))
			continue;
		machine->invalidating[i] = machine->invalidating[--machine->invalidating_count];
		break;
	}
	return vmmu_invalidate_end(machine->vm, &range);
}

void machine_host_set(struct machine *machine, uint64_t index, uint64_t count,
		      struct host_page page)
{
	cr_assert_leq(index + count, machine->host.count);
	cr_assert_eq(machine_invalidate_begin(machine, index, count), 0);
	for (uint64_t i = 0; i < count; i++) {
		machine->host.pages[index + i] = page;
		machine->host.pages[index + i].pfn += i;
	}
	cr_assert_eq(machine_invalidate_end(machine, index, count), 0);
}

void machine_flushes_forget(struct machine *machine)
{
	machine->flush_count = 0;
}

unsigned machine_global_flushes(const struct machine *machine)
{
	unsigned count = 0;

	cr_assert_leq(machine->flush_count, MACHINE_FLUSHES);
	for (unsigned i = 0; i < machine->flush_count; i++)
		count += !machine->flushes[i].local;
	return count;
}

unsigned machine_local_flushes(const struct machine *machine, unsigned vcpu)
{
	unsigned count = 0;

	cr_assert_leq(machine->flush_count, MACHINE_FLUSHES);
	for (unsigned i = 0; i < machine->flush_count; i++)
		count += machine->flushes[i].local && machine->flushes[i].vcpu_id == vcpu;
	return count;
}

bool machine_was_flushed(const struct machine *machine, unsigned as_id, uint64_t start,
			 uint64_t end)
{
	cr_assert_leq(machine->flush_count, MACHINE_FLUSHES);
	for (uint64_t gfn = start; gfn < end;) {
		uint64_t reach = gfn;

		for (unsigned i = 0; i < machine->flush_count; i++) {
			const struct vmmu_flush *f = &machine->flushes[i];

			if (!f->local && f->as_id == as_id && f->gfn_start <= gfn &&
			    f->gfn_end > reach)
				reach = f->gfn_end;
		}
		if (reach == gfn)
			return false;
		gfn = reach;
	}
	return true;
}

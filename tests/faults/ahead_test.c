/* SPDX-License-Identifier: MIT */
/*
 * Mapping many pages at once: what the host is asked for, what becomes of its answers. That tables
 * are those of single faults is silent_test.c's to say.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <vmmu/vmmu.h>

#define HVA     UINT64_C(0x7f0000000000)
#define PFN     UINT64_C(0x100000)
#define EDITION UINT64_C(0x10000) /* frames from one of its kind to the next */
#define BASE    512u              /* first gfn of the slot */

/* A host whose pages are in one piece; gfn BASE + n is behind PFN + 1 + n: no large page fits. */
struct host {
	struct vmmu_vm *vm;
	struct vmmu_vcpu *vcpu;
	uint64_t shift;
	uint64_t pages;    /* of the slot */
	uint64_t edition;  /* of all pages */
	bool has_large;    /* they are large ones, but for that 1 */
	uint64_t run_most; /* pages of a run at most */
	unsigned runs_most;
	uint64_t silent_gfn, missing_gfn; /* it does not tell of one ahead, and does not have one */
	unsigned change_every;            /* so many questions it changes all pages; 0: never */
	struct vmmu_page_run lie;         /* pages: its answer, if not 0 */
	unsigned lies;                    /* that it says it told of */
	/* what it saw */
	uint64_t asked, asked_ahead, questions;
	struct vmmu_page_request request;
	uint64_t count;
};

static void change_pages(struct host *host)
{
	struct vmmu_hva_range all = {HVA, HVA + (host->pages << host->shift)};

	cr_assert_eq(vmmu_invalidate_begin(host->vm, &all), 0);
	host->edition++;
	cr_assert_eq(vmmu_invalidate_end(host->vm, &all), 0);
}

/* The answer is out of date by the time that it is given. */
static struct vmmu_page page_of(struct host *host, uint64_t gfn)
{
	struct vmmu_page page = {.pfn = PFN + !host->has_large + host->edition * EDITION +
					(gfn - BASE),
				 .level = host->has_large ? 2 : 1,
				 .writable = true};

	if (host->change_every && ++host->questions % host->change_every == 0)
		change_pages(host);
	return page;
}

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	struct host *host = ctx;

	host->asked++;
	if (request->gfn == host->missing_gfn)
		return VMMU_RESOLVE_UNMAPPED;
	*page = page_of(host, request->gfn);
	return VMMU_RESOLVE_OK;
}

/* All that is asked about must be of one slot and one kind. */
static void check_request(struct host *host, const struct vmmu_page_request *request,
			  uint64_t count)
{
	cr_assert(count);
	cr_assert_eq(request->hva, HVA + ((request->gfn - BASE) << host->shift));
	cr_assert_eq(request->access, VMMU_READ);
	cr_assert_leq(request->gfn - BASE + count, host->pages);
	for (uint64_t gfn = request->gfn; gfn < request->gfn + count; gfn++)
		cr_assert_eq(vmmu_attributes_get(host->vm, gfn << host->shift),
			     request->flags & VMMU_RESOLVE_PRIVATE ? VMMU_ATTRIBUTE_PRIVATE : 0);
	host->request = *request;
	host->count = count;
	host->asked_ahead++;
}

static unsigned resolve_ahead(void *ctx, const struct vmmu_page_request *request, uint64_t count,
			      struct vmmu_page_run *runs, unsigned max)
{
	struct host *host = ctx;
	uint64_t gfn = request->gfn, end = gfn + count;
	unsigned used = 0;

	check_request(host, request, count);
	if (host->lie.pages || host->lies) {
		*runs = host->lie;
		return host->lies;
	}
	while (gfn < end && used < max && used < host->runs_most && gfn != host->silent_gfn &&
	       gfn != host->missing_gfn) {
		uint64_t pages = end - gfn < host->run_most ? end - gfn : host->run_most;

		for (uint64_t i = 1; i < pages; i++)
			if (gfn + i == host->silent_gfn || gfn + i == host->missing_gfn)
				pages = i;
		runs[used++] = (struct vmmu_page_run){.page = page_of(host, gfn), .pages = pages};
		gfn += pages;
	}
	return used;
}

static void flush(void *ctx, const struct vmmu_flush *flush)
{
	(void)ctx;
	cr_assert_lt(flush->gfn_start, flush->gfn_end);
}

/* HOST, whose pages are set, behind a tdp root of FORMAT; MORE options, or NULL. */
static void host_open(struct host *host, const char *format, const struct vmmu_vm_options *more,
		      unsigned flags)
{
	static const struct vmmu_env env = {.size = sizeof(env),
					    .resolve = resolve,
					    .resolve_ahead = resolve_ahead,
					    .flush = flush};
	struct vmmu_vm_options options = more ? *more : (struct vmmu_vm_options){0};
	struct vmmu_slot slot = {.flags = flags, .hva = HVA};

	options.size = sizeof(options);
	options.format = vmmu_format_find(format);
	options.env = options.env ? options.env : &env;
	options.env_ctx = host;
	options.root = VMMU_ROOT_TDP;
	host->run_most = host->run_most ? host->run_most : UINT64_MAX;
	host->runs_most = host->runs_most ? host->runs_most : 64;
	host->shift = vmmu_format_info(options.format)->geometry->page_shift;
	slot.gpa = (uint64_t)BASE << host->shift;
	slot.bytes = host->pages << host->shift;
	cr_assert_eq(vmmu_vm_create(&options, &host->vm), 0);
	cr_assert_eq(vmmu_vcpu_create(host->vm, 0, &host->vcpu), 0);
	cr_assert_eq(vmmu_slot_set(host->vm, &slot), 0);
}

/* Prefault COUNT pages from GFN on; *pages: how many were done. */
static int prefault(const struct host *host, uint64_t gfn, uint64_t count, uint64_t *pages)
{
	int err = vmmu_prefault(host->vcpu, gfn << host->shift, count << host->shift, pages);

	*pages >>= host->shift;
	return err;
}

/* Just the gfns [FIRST, END) are mapped, each by a page of its own, to what the host has there. */
static void expect_mapped(const struct host *host, uint64_t first, uint64_t end)
{
	struct vmmu_audit audit;
	struct vmmu_stats stats;

	for (uint64_t gfn = first; gfn < end; gfn++) {
		struct vmmu_walk walk;

		cr_assert_eq(vmmu_walk(host->vm, 0, gfn << host->shift, &walk), 0);
		cr_assert_eq(walk.entry.kind, VMMU_ENTRY_LEAF, "gfn %#lx", (unsigned long)gfn);
		cr_assert_eq(walk.pfn, PFN + 1 + host->edition * EDITION + (gfn - BASE));
		cr_assert_eq(walk.access, VMMU_RWX);
	}
	vmmu_vm_stats(host->vm, &stats);
	cr_assert_eq(stats.mapped[1], end - first);
	cr_assert_eq(stats.prefaulted, end - first);
	cr_assert_eq(vmmu_audit(host->vm, &audit, NULL, NULL), 0);
	cr_assert_eq(audit.violations, 0);
}

/* Whole tables, and parts of one at both ends. */
Test(ahead, pages__are_asked_for_together)
{
	struct host host = {.pages = 2048};
	uint64_t pages;

	host_open(&host, "ept4", NULL, 0);
	cr_assert_eq(prefault(&host, BASE + 100, 1500, &pages), 0);
	cr_assert_eq(pages, 1500);
	cr_assert_eq(host.asked_ahead, 1);
	cr_assert_eq(host.asked, 0);
	cr_assert_eq(host.request.gfn, BASE + 100);
	cr_assert_eq(host.count, 1500);
	expect_mapped(&host, BASE + 100, BASE + 1600);
	vmmu_vm_destroy(host.vm);
}

Test(ahead, end_of_slot__is_never_passed)
{
	struct host host = {.pages = 1000};
	uint64_t pages;

	host_open(&host, "sv48x4", NULL, 0);
	cr_assert_eq(prefault(&host, BASE + 400, 3000, &pages), 0);
	cr_assert_eq(pages, 600);
	cr_assert_eq(host.asked_ahead, 1);
	expect_mapped(&host, BASE + 400, BASE + 1000);
	cr_assert_eq(prefault(&host, BASE + 1000, 1, &pages), -ENOENT);
	vmmu_vm_destroy(host.vm);
}

Test(ahead, host_that_tells_little__is_asked_again)
{
	struct host host = {.pages = 2048, .run_most = 100, .runs_most = 3};
	uint64_t pages;

	host_open(&host, "npt4", NULL, 0);
	cr_assert_eq(prefault(&host, BASE, 2048, &pages), 0);
	cr_assert_eq(pages, 2048);
	cr_assert_eq(host.asked_ahead, 7, "by 300 pages");
	expect_mapped(&host, BASE, BASE + 2048);
	vmmu_vm_destroy(host.vm);
}

/* A table is filled from several runs. */
Test(ahead, runs__follow_one_another)
{
	struct host host = {.pages = 2048, .run_most = 100};
	uint64_t pages;

	host_open(&host, "arm-s2-4k", NULL, 0);
	cr_assert_eq(prefault(&host, BASE, 2048, &pages), 0);
	cr_assert_eq(pages, 2048);
	cr_assert_eq(host.asked_ahead, 1);
	expect_mapped(&host, BASE, BASE + 2048);
	vmmu_vm_destroy(host.vm);
}

Test(ahead, pages_not_told_of__are_asked_for_alone)
{
	struct host host = {.pages = 2048, .silent_gfn = BASE + 700, .missing_gfn = BASE + 1500};
	uint64_t pages;

	host_open(&host, "ept4", NULL, 0);
	cr_assert_eq(prefault(&host, BASE, 2048, &pages), 0);
	cr_assert_eq(pages, 1500);
	cr_assert_eq(host.asked, 2);
	expect_mapped(&host, BASE, BASE + 1500);
	cr_assert_eq(prefault(&host, BASE + 1500, 10, &pages), -EFAULT);
	cr_assert_eq(pages, 0);
	vmmu_vm_destroy(host.vm);
}

/* The last large page would reach beyond the slot. */
Test(ahead, large_pages__as_far_as_the_slot_goes)
{
	struct host host = {.pages = 1124, .has_large = true};
	struct vmmu_stats stats;
	struct vmmu_audit audit;
	uint64_t pages;

	host_open(&host, "ept4", NULL, 0);
	cr_assert_eq(prefault(&host, BASE, 1124, &pages), 0);
	cr_assert_eq(pages, 1124);
	cr_assert_eq(host.asked_ahead, 1);
	vmmu_vm_stats(host.vm, &stats);
	cr_assert_eq(stats.mapped[2], 2);
	cr_assert_eq(stats.mapped[1], 100);
	cr_assert_eq(vmmu_audit(host.vm, &audit, NULL, NULL), 0);
	cr_assert_eq(audit.violations, 0);
	vmmu_vm_destroy(host.vm);
}

static void expect_lie(struct vmmu_page_run lie, unsigned lies, uint64_t believed)
{
	struct host host = {.pages = 1024, .lie = lie, .lies = lies};
	struct vmmu_stats stats;
	uint64_t pages;

	host_open(&host, "ept4", NULL, 0);
	cr_assert_eq(prefault(&host, BASE, 64, &pages), 0);
	cr_assert_eq(pages, 64);
	vmmu_vm_stats(host.vm, &stats);
	cr_assert_eq(stats.mapped[1], 64);
	cr_assert_eq(host.asked, 64 - believed);
	vmmu_vm_destroy(host.vm);
}

/* What cannot be is not believed, and resolve() is asked instead. */
Test(ahead, nonsense__is_not_believed)
{
	struct vmmu_page page = {.pfn = PFN, .level = 1, .writable = true}, beyond = page;

	expect_lie((struct vmmu_page_run){page, UINT64_MAX}, 1, 64);
	expect_lie((struct vmmu_page_run){page, 0}, 1, 0);
	beyond.pfn = UINT64_MAX;
	expect_lie((struct vmmu_page_run){beyond, 64}, 1, 0);
	/* the last one is; alone the first is as good as any, and then one by one is asked for */
	beyond.pfn = (UINT64_C(1) << 40) - 63;
	expect_lie((struct vmmu_page_run){beyond, 64}, 1, 63);
	page.memtype = VMMU_MEM_DEVICE + 1;
	expect_lie((struct vmmu_page_run){page, 64}, 1, 0);
}

/* Every fourth answer makes those before it useless: few questions are asked again for that. */
Test(ahead, host_that_keeps_changing__costs_few_questions)
{
	const struct vmmu_env env = {.size = sizeof(env), .resolve = resolve, .flush = flush};
	struct vmmu_vm_options options = {.env = &env};
	struct host host = {.pages = 512, .change_every = 4};
	uint64_t pages, done = 0;
	int err = 0;

	host_open(&host, "ept4", &options, 0);
	for (unsigned i = 0; done < 512 && i < 512 && !err; i++) {
		err = prefault(&host, BASE + done, 512 - done, &pages);
		done += pages;
	}
	cr_assert_eq(done, 512);
	cr_assert_lt(host.asked, 512u * 8);
	vmmu_vm_destroy(host.vm);
}

/* No page is behind an answer that is out of date. */
Test(ahead, pages_replaced_meanwhile__are_asked_for_again)
{
	struct host host = {.pages = 1024, .change_every = 1};
	struct vmmu_walk walk;
	uint64_t pages;

	host_open(&host, "ept4", NULL, 0);
	cr_assert_eq(prefault(&host, BASE, 1024, &pages), -EAGAIN);
	cr_assert_eq(pages, 0);
	cr_assert(vmmu_walk(host.vm, 0, (uint64_t)BASE << host.shift, &walk) ||
		  walk.entry.kind != VMMU_ENTRY_LEAF);
	host.change_every = 0;
	cr_assert_eq(prefault(&host, BASE, 1024, &pages), 0);
	cr_assert_eq(pages, 1024);
	expect_mapped(&host, BASE, BASE + 1024);
	vmmu_vm_destroy(host.vm);
}

/* In the middle of a table that is there, and of one that is not. */
Test(ahead, pages_being_taken_away__end_it)
{
	struct host host = {.pages = 2048};
	struct vmmu_hva_range range;
	uint64_t pages;

	host_open(&host, "ept4", NULL, 0);
	range = (struct vmmu_hva_range){HVA + (UINT64_C(700) << 12), HVA + (UINT64_C(701) << 12)};
	cr_assert_eq(vmmu_invalidate_begin(host.vm, &range), 0);
	cr_assert_eq(prefault(&host, BASE, 2048, &pages), 0);
	cr_assert_eq(pages, 700);
	expect_mapped(&host, BASE, BASE + 700);
	cr_assert_eq(prefault(&host, BASE + 700, 10, &pages), -EAGAIN);
	cr_assert_eq(vmmu_invalidate_end(host.vm, &range), 0);
	cr_assert_eq(prefault(&host, BASE + 700, 1348, &pages), 0);
	cr_assert_eq(pages, 1348);
	expect_mapped(&host, BASE, BASE + 2048);
	vmmu_vm_destroy(host.vm);
}

/* Frames for a root, its way down and one table of leaves: the next table is one too many. */
Test(ahead, no_room_for_tables__tells_what_is_mapped)
{
	static _Alignas(4096) unsigned char frames[5 << 12];
	struct vmmu_vm_options options = {
		.tables = frames, .tables_hpa = 1 << 20, .tables_bytes = sizeof(frames)};
	struct host host = {.pages = 4096};
	uint64_t pages;

	host_open(&host, "ept4", &options, 0);
	cr_assert_eq(prefault(&host, BASE, 4096, &pages), 0);
	cr_assert_eq(pages, 1024, "two tables of leaves");
	expect_mapped(&host, BASE, BASE + 1024);
	cr_assert_eq(prefault(&host, BASE + 1024, 512, &pages), -ENOMEM);
	cr_assert_eq(pages, 0);
	expect_mapped(&host, BASE, BASE + 1024);
	vmmu_vm_destroy(host.vm);
}

Test(ahead, private_and_shared_pages__are_asked_for_apart)
{
	struct host host = {.pages = 2048};
	uint64_t pages;

	host_open(&host, "ept4", NULL, 0);
	cr_assert_eq(
		vmmu_attributes_set(host.vm, (BASE + 300) << 12, 500 << 12, VMMU_ATTRIBUTE_PRIVATE),
		0);
	cr_assert_eq(prefault(&host, BASE, 2048, &pages), 0);
	cr_assert_eq(pages, 2048);
	cr_assert_eq(host.asked_ahead, 3);
	cr_assert_eq(host.request.gfn, BASE + 800);
	cr_assert_eq(host.asked, 0);
	expect_mapped(&host, BASE, BASE + 2048);
	vmmu_vm_destroy(host.vm);
}

Test(ahead, pages_of_a_log__count_as_written)
{
	struct host host = {.pages = 1024};
	uint64_t bitmap[1024 / 64] = {0}, count, pages;

	host_open(&host, "ept4", NULL, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(prefault(&host, BASE + 5, 1000, &pages), 0);
	expect_mapped(&host, BASE + 5, BASE + 1005);
	cr_assert_eq(vmmu_dirty_get(host.vm, 0, 0, bitmap, 1024, &count), 0);
	cr_assert_eq(count, 1000);
	cr_assert_eq(bitmap[0], ~UINT64_C(0) << 5);
	cr_assert_eq(bitmap[1005 / 64], (UINT64_C(1) << 1005 % 64) - 1);
	vmmu_vm_destroy(host.vm);
}

/* Each page has an entry of its own in the ring, and where that is full it ends. */
Test(ahead, pages_of_a_ring__end_with_it)
{
	struct vmmu_vm_options options = {.dirty_ring_entries = VMMU_DIRTY_RING_MIN};
	struct host host = {.pages = 4 * VMMU_DIRTY_RING_MIN};
	struct vmmu_stats stats;
	uint64_t pages;

	host_open(&host, "ept4", &options, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(prefault(&host, BASE, host.pages, &pages), 0);
	cr_assert_lt(pages, VMMU_DIRTY_RING_MIN);
	vmmu_vm_stats(host.vm, &stats);
	cr_assert_eq(stats.mapped[1], pages);
	cr_assert_eq(prefault(&host, BASE + pages, 1, &pages), -ENOBUFS);
	vmmu_vm_destroy(host.vm);
}

static void listen(void *ctx, const struct vmmu_event *event)
{
	struct host *host = ctx;

	host->count += event->kind == VMMU_EVENT_MAP_SET;
}

/* Who listens is told of each page, as of a fault's. */
Test(ahead, event_sink__hears_of_each_page)
{
	const struct vmmu_env env = {.size = sizeof(env),
				     .resolve = resolve,
				     .resolve_ahead = resolve_ahead,
				     .event = listen};
	struct vmmu_vm_options options = {.env = &env};
	struct host host = {.pages = 1024};
	uint64_t pages;

	host_open(&host, "ept4", &options, 0);
	cr_assert_eq(prefault(&host, BASE, 1024, &pages), 0);
	cr_assert_eq(host.count, 1024);
	cr_assert_eq(host.asked_ahead, 0);
	expect_mapped(&host, BASE, BASE + 1024);
	vmmu_vm_destroy(host.vm);
}

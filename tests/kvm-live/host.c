/* SPDX-License-Identifier: MIT */
#include "kvm-live/host.h"

#include <stdlib.h>

#include "base/bits.h"

#define PAGE_BYTES   UINT64_C(4096)
#define REGION_PAGES UINT64_C(512)
#define REGION_BYTES (REGION_PAGES * PAGE_BYTES)

/* A page and where it is. */
struct host_place {
	struct host_area *area;
	struct host_region *region;
	struct host_page *page;
	uint64_t first, end; /* indices of the region's pages */
	uint64_t index;
};

static bool host_find(struct host *host, uint64_t hva, struct host_place *place)
{
	for (size_t i = 0; i < host->count; i++) {
		struct host_area *area = &host->areas[i];
		uint64_t index = (hva - area->hva) / PAGE_BYTES;

		if (hva - area->hva >= area->bytes)
			continue;
		*place = (struct host_place){
			.area = area,
			.region = &area->regions[index / REGION_PAGES],
			.page = &area->pages[index],
			.first = align_down(index, REGION_PAGES),
			.end = min_u64(align_down(index, REGION_PAGES) + REGION_PAGES,
				       area->bytes / PAGE_BYTES),
			.index = index,
		};
		return true;
	}
	return false;
}

bool host_add(struct host *host, uint64_t hva, uint64_t bytes, unsigned backing)
{
	struct host_area *area = &host->areas[host->count];
	struct host_place place;

	if (host_find(host, hva, &place))
		return true;
	if (host->count == HOST_AREAS || !is_aligned(hva, REGION_BYTES) || bytes > UINT32_MAX)
		return false;
	area->pages = calloc(bytes / PAGE_BYTES, sizeof(*area->pages));
	area->regions = calloc(bytes / REGION_BYTES + 1, sizeof(*area->regions));
	if (!area->pages || !area->regions)
		abort();
	area->hva = hva;
	area->bytes = bytes;
	area->backing = backing;
	host->count++;
	for (uint64_t i = 0; backing & HOST_FILLED && i < bytes / PAGE_BYTES; i++)
		area->pages[i].is_present = area->pages[i].is_writable = true;
	for (uint64_t i = 0; backing & HOST_POOL && i < bytes / REGION_BYTES; i++)
		area->regions[i].is_huge = true;
	return true;
}

void host_free(struct host *host)
{
	for (size_t i = 0; i < host->count; i++) {
		free(host->areas[i].pages);
		free(host->areas[i].regions);
	}
	*host = (struct host){0};
}

void host_write(struct host *host, uint64_t hva)
{
	struct host_place place;

	if (host_find(host, hva, &place))
		place.page->is_present = place.page->is_writable = true;
}

/* RANGE meets PLACE's region: not all of it? Then its pages are mapped one by one from now on. */
static void host_split_partly(const struct host_place *place, const struct vmmu_hva_range *range)
{
	uint64_t start = place->area->hva + place->first * PAGE_BYTES;
	uint64_t end = place->area->hva + place->end * PAGE_BYTES;

	if (place->area->backing & HOST_POOL)
		return;
	place->region->is_split |= range->start > start || range->end < end;
	place->region->is_huge &= !place->region->is_split;
}

void host_drop(struct host *host, const struct vmmu_hva_range *range)
{
	struct host_place place;

	for (uint64_t hva = range->start; hva < range->end; hva += PAGE_BYTES) {
		if (!host_find(host, hva, &place))
			continue;
		host_split_partly(&place, range);
		if (!(place.area->backing & HOST_POOL))
			place.region->is_huge = false;
		*place.page = (struct host_page){.is_protected = place.page->is_protected};
	}
}

void host_protect(struct host *host, const struct vmmu_hva_range *range, bool is_writable)
{
	struct host_place place;

	for (uint64_t hva = range->start; hva < range->end; hva += PAGE_BYTES) {
		if (!host_find(host, hva, &place))
			continue;
		host_split_partly(&place, range);
		place.page->is_protected = !is_writable;
		place.page->is_writable &= is_writable;
	}
}

static bool host_region_is_absent(const struct host_place *place)
{
	for (uint64_t i = place->first; i < place->end; i++)
		if (place->area->pages[i].is_present)
			return false;
	return true;
}

/* Is what comes in at PLACE a huge page? The pool has no others; else what became of it says. */
static bool host_comes_huge(const struct host_place *place, const struct vmmu_trace_host *known)
{
	if (place->area->backing & HOST_POOL)
		return true;
	return known && known->huge && !place->region->is_split && host_region_is_absent(place);
}

/* The first access to the page at PLACE. */
static void host_come_in(const struct host_place *place, bool is_write,
			 const struct vmmu_trace_host *known)
{
	bool is_huge = host_comes_huge(place, known);
	uint64_t first = is_huge ? place->first : place->index;
	uint64_t end = is_huge ? place->end : place->index + 1;

	place->region->is_huge |= is_huge;
	for (uint64_t i = first; i < end; i++) {
		struct host_page *page = &place->area->pages[i];

		page->is_present = true;
		page->is_writable = is_write && !page->is_protected;
		page->is_zero = !is_write && !(place->area->backing & HOST_POOL);
		page->pfn = 0;
	}
}

/* A write to a page that is there read-only. */
static void host_make_writable(const struct host_place *place)
{
	if (place->page->is_zero) {
		/* The others of a huge zero page are the small zero page from now on. */
		for (uint64_t i = place->first; place->region->is_huge && i < place->end; i++)
			place->area->pages[i].pfn = 0;
		place->region->is_split |= place->region->is_huge;
		place->region->is_huge = false;
		*place->page = (struct host_page){.is_present = true, .is_writable = true};
		return;
	}
	place->page->is_writable = true;
	for (uint64_t i = place->first; place->region->is_huge && i < place->end; i++)
		place->area->pages[i].is_writable = true;
}

static enum vmmu_resolve_status host_give(struct host *host, const struct host_place *place,
					  struct vmmu_page *page)
{
	if (!place->page->pfn)
		place->page->pfn = HOST_INVENTED_PFN + host->invented++;
	*page = (struct vmmu_page){
		.pfn = place->page->pfn,
		.level = place->region->is_huge ? 2 : 1,
		.memtype = VMMU_MEM_WRITEBACK,
		.writable = place->page->is_writable,
	};
	return VMMU_RESOLVE_OK;
}

enum vmmu_resolve_status host_touch(struct host *host, uint64_t hva, unsigned access,
				    const struct vmmu_trace_host *known, struct vmmu_page *page)
{
	bool is_write = access == VMMU_WRITE;
	struct host_place place;

	if (!host_find(host, hva, &place) || (is_write && place.page->is_protected))
		return VMMU_RESOLVE_UNMAPPED;
	if (!place.page->is_present)
		host_come_in(&place, is_write, known);
	else if (is_write && !place.page->is_writable)
		host_make_writable(&place);
	if (known)
		host_learn(host, known);
	return host_give(host, &place, page);
}

enum vmmu_resolve_status host_peek(struct host *host, uint64_t hva, struct vmmu_page *page)
{
	struct host_place place;

	if (!host_find(host, hva, &place) || !place.page->is_present || !place.page->is_writable)
		return VMMU_RESOLVE_UNMAPPED;
	return host_give(host, &place, page);
}

void host_learn(struct host *host, const struct vmmu_trace_host *known)
{
	struct host_place place;

	if (!known->present || !host_find(host, known->hva, &place))
		return;
	/*
	 * An invented frame may be mapped by now: it stays, the judge knows which one it stands
	 * for.
	 */
	if (place.page->pfn < HOST_INVENTED_PFN)
		place.page->pfn = known->pfn;
	place.page->is_zero = known->zero;
	if (!known->huge)
		return;
	place.region->is_huge = !place.region->is_split;
	/* A huge page's frames follow each other, also where it is no longer mapped as one. */
	for (uint64_t i = place.first; i < place.end; i++) {
		struct host_page *page = &place.area->pages[i];

		if (page->is_present && page->is_zero == known->zero && !page->pfn)
			page->pfn = known->pfn - place.index + i;
	}
}

unsigned host_level(struct host *host, uint64_t hva)
{
	struct host_place place;

	return host_find(host, hva, &place) && place.region->is_huge ? 2 : 1;
}

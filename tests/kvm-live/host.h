/* SPDX-License-Identifier: MIT */
/*
 * The host's memory as its own kernel sees it: what is mapped at each hva of the VMM, changed by
 * the script and by what accesses bring in, with frames learned from the recording's "host" lines.
 *
 * What Linux 6.1 does with private anonymous memory, as far as the scripts go:
 *  - a page that comes in by a read is the zero page, or a fresh huge page of the pool, and is
 *    mapped read-only; by a write it is a fresh page, writable;
 *  - a write to the zero page copies it; where a huge zero page is mapped, that is split first;
 *  - taking away or protecting part of a huge page splits its mapping for good;
 *  - a page that was protected and is so no longer becomes writable with its next write.
 */
#ifndef TESTS_KVM_LIVE_HOST_H
#define TESTS_KVM_LIVE_HOST_H

#include <vmmu/env.h>
#include <vmmu/invalidate.h>
#include <vmmu/trace.h>

#define HOST_AREAS 16

/*
 * The recording does not name every frame (that of the guest's code, those that only a prefetch
 * touched). Pages without a name get a frame of their own from here on, beyond all real ones.
 */
#define HOST_INVENTED_PFN (UINT64_C(1) << 36)

/* How the script's "slot" asks for memory; flags beside those of the slot. */
enum host_backing {
	HOST_HUGE = 0x100,   /* transparent huge pages */
	HOST_FILLED = 0x200, /* written before use */
	HOST_POOL = 0x400,   /* 2 MiB pages of the pool */
};

struct host_page {
	uint64_t pfn; /* 0: not known */
	bool is_present, is_zero;
	bool is_writable;  /* mapped writable */
	bool is_protected; /* the VMM's mapping forbids writes */
};

/* 2 MiB of an area. */
struct host_region {
	bool is_huge;  /* mapped as one */
	bool is_split; /* was, or may have been, and never will be again */
};

struct host_area {
	uint64_t hva, bytes;
	unsigned backing; /* enum host_backing, or-ed */
	struct host_page *pages;
	struct host_region *regions;
};

struct host {
	struct host_area areas[HOST_AREAS];
	size_t count;
	uint64_t invented; /* frames so far */
};

/* Memory at HVA, 2 MiB aligned; harmless when it is there already. False: too much of it. */
bool host_add(struct host *host, uint64_t hva, uint64_t bytes, unsigned backing);
void host_free(struct host *host);
/* The VMM writes the page at HVA. */
void host_write(struct host *host, uint64_t hva);
/* madvise(MADV_DONTNEED) and mprotect() of RANGE. */
void host_drop(struct host *host, const struct vmmu_hva_range *range);
void host_protect(struct host *host, const struct vmmu_hva_range *range, bool is_writable);
/*
 * Bring the page at HVA in for ACCESS as a page fault of the VMM would. KNOWN, or NULL: how the
 * host has the page afterwards.
 */
enum vmmu_resolve_status host_touch(struct host *host, uint64_t hva, unsigned access,
				    const struct vmmu_trace_host *known, struct vmmu_page *page);
/* The page at HVA if it is mapped writable; nothing changes. */
enum vmmu_resolve_status host_peek(struct host *host, uint64_t hva, struct vmmu_page *page);
/* Take in what the recording says of a page. */
void host_learn(struct host *host, const struct vmmu_trace_host *known);
/* Level at which HVA is mapped. */
unsigned host_level(struct host *host, uint64_t hva);

#endif

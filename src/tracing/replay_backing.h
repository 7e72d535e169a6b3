/* SPDX-License-Identifier: MIT */
/*
 * What the host has behind a guest's memory, as far as a trace says: `host` lines give frames and
 * huge pages, the script's dontneed and protect lines what became of them. Where a trace says
 * nothing the frame is the page's host-virtual address itself, which is unique, aligned alike and
 * the same each time.
 *
 * Addresses are in bytes, frames of `host` lines in 4 KiB; the answer is in the format's pages.
 * Memory is bounded: pages are remembered in tables of fixed size in which a newer page displaces
 * an older one of the same place, which costs accuracy and never safety.
 */
#ifndef VMMU_TRACING_REPLAY_BACKING_H
#define VMMU_TRACING_REPLAY_BACKING_H

#include <vmmu/env.h>
#include <vmmu/format.h>
#include <vmmu/replay.h>

#include "tracing/replay_spans.h"

#define REPLAY_BACKING_LG2 16

struct replay_frame {
	uint64_t key; /* number of the page or region, plus 1; 0: empty */
	uint64_t pfn; /* 4 KiB frame at its start */
	bool huge, zero;
};

struct replay_backing {
	const struct vmmu_geometry *geometry;
	enum vmmu_backing policy;
	struct replay_frame *pages;   /* by hva / 4 KiB */
	struct replay_frame *regions; /* by hva / 2 MiB: the last huge or small page seen there */
	struct replay_frame *hints;   /* by gpa / 4 KiB: frames that no host line gives */
	struct replay_spans write_denied; /* hvas that the host maps read-only */
	/*
	 * the host's kernel leaves pages read-only that it forbade to write and allows again, until
	 * they are written: VMMU_RULE_ALLOWED_LATE. Such hvas
	 */
	bool is_allowed_late;
	struct replay_spans unwritten;
	bool is_huge_from_pool;      /* no others are mapped large: VMMU_RULE_HUGE_FROM_POOL_ONLY */
	struct replay_spans present; /* hvas whose page is there and can be written at once */
	struct replay_spans pool;    /* hvas in private pages of the host's huge page pool */
	struct replay_spans split;   /* 2 MiB regions that the host no longer maps as one */
	struct replay_spans touched; /* 2 MiB regions in which the host has, or had, a page */
	struct replay_spans written; /* hvas in small pages that the host itself wrote */
};

/* -ENOMEM. *BACKING is to be given to replay_backing_destroy() even then. */
int replay_backing_init(struct replay_backing *backing, const struct vmmu_geometry *geometry,
			enum vmmu_backing policy);
void replay_backing_destroy(struct replay_backing *backing);
/* A `host` line. */
void replay_backing_learn(struct replay_backing *backing, const struct vmmu_trace_host *host);
/*
 * Should no host line say it: the frame behind the 4 KiB page at GPA (bytes) is PFN. For formats of
 * 4 KiB pages.
 */
void replay_backing_hint(struct replay_backing *backing, uint64_t gpa, uint64_t pfn);
/* The host has pages of its own behind all of hvas [start, end) from the first. */
void replay_backing_prefault(struct replay_backing *backing, uint64_t start, uint64_t end);
/* The same, and all of them are small pages. */
void replay_backing_prefault_small(struct replay_backing *backing, uint64_t start, uint64_t end);
/*
 * hvas [start, end) are private pages of the host's pool. They are never split, there is no zero
 * page, and a page that was only read is not writable yet.
 */
void replay_backing_pool(struct replay_backing *backing, uint64_t start, uint64_t end);
/*
 * The host threw away hvas [start, end): what comes back is new, and huge again where it is whole.
 */
void replay_backing_drop(struct replay_backing *backing, uint64_t start, uint64_t end);
/* The host made one huge page, writable and there, of all the small ones at hvas from START on. */
void replay_backing_join(struct replay_backing *backing, uint64_t start);
/*
 * The host took hvas [start, end) back, and kept what was in them: they come back as they were, and
 * after a read, where is_allowed_late, read-only.
 */
void replay_backing_reclaim(struct replay_backing *backing, uint64_t start, uint64_t end);
/* The host forbade, or allowed again, writing to hvas [start, end). */
void replay_backing_forbid(struct replay_backing *backing, uint64_t start, uint64_t end);
void replay_backing_allow(struct replay_backing *backing, uint64_t start, uint64_t end);
/*
 * Does an answer, or who is mapped ahead of access, depend on what was asked before? If not,
 * replay_backing_page() changes nothing.
 */
bool replay_backing_is_ordered(const struct replay_backing *backing);
/* vmmu_env.resolve and vmmu_env.host_level over it. */
enum vmmu_resolve_status replay_backing_page(struct replay_backing *backing,
					     const struct vmmu_page_request *request,
					     struct vmmu_page *page);
unsigned replay_backing_level(const struct replay_backing *backing, uint64_t hva);

#endif

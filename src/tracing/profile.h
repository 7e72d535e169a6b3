/* SPDX-License-Identifier: MIT */
/* Profiles inside the library: the table's type; telling kernels apart while a trace is read. */
#ifndef VMMU_TRACING_PROFILE_H
#define VMMU_TRACING_PROFILE_H

#include <vmmu/profile.h>

struct vmmu_profile {
	struct vmmu_profile_info info;
	bool is_own; /* the engine's: vmmu_entry_read() reads its entries */
};

/* What was seen so far that tells kernels apart. All zeros: nothing. */
struct profile_evidence {
	uint32_t signs; /* bits of profile_detect.c's table */
};

/*
 * Learn from EVENT of a trace whose faults are of ARCHITECTURE (NULL: not known yet), with its text
 * still there.
 */
void profile_observe(struct profile_evidence *evidence, const struct vmmu_trace_event *event,
		     const char *architecture);
/* The profile that EVIDENCE leaves, or NULL; WHY gets the reason. */
const struct vmmu_profile *profile_detect(const struct profile_evidence *evidence,
					  const char *architecture, char *why, size_t why_bytes);

/*
 * The level that ARCHITECTURE's manual calls LEVEL, as we count, from pages at 1 on; 0: none. x86
 * counts as we do.
 */
unsigned profile_level(const char *architecture, unsigned level);

#endif

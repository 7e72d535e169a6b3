/* SPDX-License-Identifier: MIT */
/*
 * The inputs of a recording, and nothing else: the script's lines, where the VMM's memory lies,
 * what the host had behind each page that was accessed, and the host's invalidations. The machine
 * sees only this, so that no level, permission, frame of an entry or result that KVM chose can
 * reach the engine.
 */
#ifndef TESTS_KVM_LIVE_SCRIPT_H
#define TESTS_KVM_LIVE_SCRIPT_H

#include <vmmu/invalidate.h>

#include "kvm-live/recording.h"

/* What one instruction of the guest does. */
struct script_access {
	uint64_t address; /* bytes: gpa, or gva once the guest has paging on */
	unsigned access;
	uint64_t pc; /* of the instruction; equal to address for EXEC */
	/* What a write stores. */
	uint64_t value;
	unsigned bytes;
	struct vmmu_trace_host page; /* as the host has it afterwards */
	bool has_page;               /* false: no slot there, or not known */
	/* Invalidations that the host made meanwhile; half-open. */
	size_t invalidations_start, invalidations_end;
};

struct script_line {
	const char *text;
	char word[12];
	uint64_t args[4];
	uint64_t hva; /* slot, del: bytes */
	size_t accesses_start, accesses_end;
	/* Those that belong to none of its accesses. */
	size_t invalidations_start, invalidations_end;
};

struct script {
	struct script_line *lines; /* [0]: slot 0, which the VMM makes before the script */
	size_t line_count;
	struct script_access *accesses;
	size_t access_count;
	struct vmmu_hva_range *invalidations;
	size_t invalidation_count;
};

/*
 * Take the inputs out of RECORDING, whose texts are used on. False, with a line on stderr: the two
 * files do not tell the same story.
 */
bool script_build(struct script *script, const struct recording *recording);
void script_free(struct script *script);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Memslot calls, which no trace event records, from a file beside the trace. Forms of a call:
 *
 *   kvm_set_user_memory [AddrSpace#A ]Slot#N flags=F gpa=G size=S ua=H ... ret=R
 *   pid@seconds.microseconds:kvm_set_user_memory ...
 *   MEMSLOT slot=N flags=F gpa=G size=S hva=H
 *
 * The first two are QEMU's, in all versions; the first is the kvm-live kit's too, between lines of
 * access results. The third is the recorded test programs', between lines of their MMIO writes
 * ("MMIO write ADDRESS = VALUE"). Without AddrSpace# the slot number is KVM's slot word: address
 * space in the upper 16 bits. A call that KVM refused (ret < 0) is kept, with its result, so that
 * calls stay matched with the marks that a trace has of them.
 */
#ifndef VMMU_TRACING_LAYOUT_H
#define VMMU_TRACING_LAYOUT_H

#include <vmmu/trace.h>

#define LAYOUT_CALLS_MAX (1u << 20)

struct layout_call {
	struct vmmu_slot slot;
	uint64_t line;    /* of the file */
	uint64_t writes;  /* lines of MMIO writes before it */
	uint64_t time_ns; /* 0: none */
	bool is_refused;
};

struct layout {
	struct layout_call *calls;
	size_t count, capacity;
	uint64_t writes;      /* lines of MMIO writes */
	uint64_t other_lines; /* lines of the file that are no call */
	uint64_t refused_count;
	bool has_times; /* every call has one, in order */
};

/*
 * Read the calls of PATH. With an error, ERROR gets "file:line: what": those of input_open() and
 * input_line(), -ENOMEM, -EFBIG (more than LAYOUT_CALLS_MAX), -ENOEXEC (no call in it). The layout
 * is the caller's, also then.
 */
int layout_read(struct layout *layout, const char *path, char *error, size_t error_bytes);
/* True when TEXT is a slot call, which goes to *CALL (all but its line). */
bool layout_parse(const char *text, struct layout_call *call);
void layout_destroy(struct layout *layout);

#endif

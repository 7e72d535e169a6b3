/* SPDX-License-Identifier: MIT */
/*
 * Memslot calls, which no trace event records, from a file beside the trace. Forms of a call:
 *
 *   kvm_set_user_memory [AddrSpace#A ]Slot#N flags=F gpa=G size=S ua=H ... ret=R
 *   pid@seconds.microseconds:kvm_set_user_memory ...
 *   MEMSLOT slot=N flags=F gpa=G size=S hva=H
 *   strace's KVM_SET_USER_MEMORY_REGION: strace.h
 *
 * The first two are QEMU's, in all versions; the first is the kvm-live kit's too, between lines of
 * results ("w 0x1000 -> 0", "dirty slot 1 count 3 ret 0"), which are kept. The third is the
 * recorded test programs', between lines of their MMIO writes ("MMIO write ADDRESS = VALUE").
 * Without AddrSpace# the slot number is KVM's slot word: address space in the upper 16 bits. A
 * call that KVM refused (ret < 0) is kept, with its result, so that calls stay matched with the
 * marks that a trace has of them.
 */
#ifndef VMMU_TRACING_LAYOUT_H
#define VMMU_TRACING_LAYOUT_H

#include <vmmu/trace.h>

#include "tracing/strace.h"

#define LAYOUT_MARKS_MAX      (1u << 16)
#define LAYOUT_UNFINISHED_MAX 16u

#define LAYOUT_CALLS_MAX (1u << 20)

struct layout_call {
	struct vmmu_slot slot;
	uint64_t line;    /* of the file */
	uint64_t writes;  /* lines of MMIO writes before it */
	size_t marks;     /* strace: marks before it */
	uint64_t time_ns; /* 0: none */
	bool is_refused;
};

/* What the kit's VMM printed about a line of its script. */
struct layout_reply {
	char word[12]; /* the line's first */
	int64_t value;
};

struct layout_mark {
	char text[STRACE_MARK_BYTES];
};

/* A call whose result is on a later line of its thread. */
struct layout_unfinished {
	uint64_t pid;
	size_t call; /* index + 1; 0: free */
};

struct layout {
	struct layout_call *calls;
	size_t count, capacity;
	struct layout_mark *marks; /* strace: what the program wrote into the trace */
	size_t mark_count, mark_capacity;
	struct layout_reply *replies;
	size_t reply_count, reply_capacity;
	struct layout_unfinished unfinished[LAYOUT_UNFINISHED_MAX];
	bool has_file; /* strace: the VM's descriptor is known: that of the first call */
	uint64_t file;
	uint64_t blind_count; /* strace: slot calls without arguments, or of another VM */
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
/*
 * Index of the first mark from FIRST on that TEXT is the text of, which strace may have cut; or the
 * number of marks.
 */
size_t layout_find_mark(const struct layout *layout, size_t first, const char *text);
/* True when TEXT is a slot call (not of strace), which goes to *CALL (all but its line). */
bool layout_parse(const char *text, struct layout_call *call);
void layout_destroy(struct layout *layout);

#endif

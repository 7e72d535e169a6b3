/* SPDX-License-Identifier: MIT */
/*
 * One line of strace's output, as far as it tells of memslots: KVM_SET_USER_MEMORY_REGION and
 * KVM_SET_USER_MEMORY_REGION2 calls, and marks that the program wrote into the trace.
 *
 *   [pid 12] 1795167914.634038 ioctl(9, KVM_SET_USER_MEMORY_REGION, {slot=0, flags=0,
 *     guest_phys_addr=0, memory_size=655360, userspace_addr=0x7f1234500000}) = 0
 *
 * With -f, -o, -t to -ttt, -r, -y, -T, -X or without; a call that another thread's line cuts in two
 * ("<unfinished ...>", "<... ioctl resumed>") has its arguments in the first part and its result in
 * the second.
 */
#ifndef VMMU_TRACING_STRACE_H
#define VMMU_TRACING_STRACE_H

#include <vmmu/slot.h>

#define STRACE_MARK_BYTES 64u

enum strace_kind {
	STRACE_OTHER,
	STRACE_CALL,    /* slot, file, and is_refused or is_unfinished */
	STRACE_BLIND,   /* a slot call whose arguments strace did not print */
	STRACE_RESUMED, /* the rest of the thread's unfinished ioctl: is_refused */
	STRACE_MARK,    /* a write to trace_marker, or to a file that has no name: mark */
};

struct strace_line {
	uint64_t pid;     /* 0: not given */
	uint64_t time_ns; /* since 1970 (-ttt); 0: not given */
	uint64_t file;    /* descriptor of the VM */
	struct vmmu_slot slot;
	bool is_refused, is_unfinished;
	/* text of the mark as far as strace printed it, cut to what fits; NUL-terminated */
	char mark[STRACE_MARK_BYTES];
};

/* Read TEXT into *LINE. */
enum strace_kind strace_split(const char *text, struct strace_line *line);

#endif

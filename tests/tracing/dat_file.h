/* SPDX-License-Identifier: MIT */
/*
 * A small trace.dat file of version 6, put together by hand: trace-cmd.dat.v6(5) and the kernel's
 * "Lockless Ring Buffer Design". One CPU, one page of events, formats for four of them.
 */
#ifndef TESTS_TRACING_DAT_FILE_H
#define TESTS_TRACING_DAT_FILE_H

#include <stddef.h>
#include <stdint.h>

#define DAT_FILE_PAGE  4096u
#define DAT_FILE_BYTES (4u * DAT_FILE_PAGE)

enum dat_file_event {
	DAT_FILE_PRINT = 5,   /* the kernel's own number */
	DAT_FILE_ENTRY = 300, /* arm64 kvm_entry: vcpu_pc */
	DAT_FILE_FAULT,       /* arm64 kvm_guest_fault: vcpu_pc, hsr, hxfar, ipa */
	DAT_FILE_EXIT,        /* kvm_userspace_exit: reason, errno */
};

struct dat_file {
	unsigned char bytes[DAT_FILE_BYTES];
	size_t size, page, commit; /* page: where the events' page starts */
};

/* Head and formats; no event yet. */
void dat_file_begin(struct dat_file *file);
/* One event of thread PID, DELTA_NS after the one before: COUNT words of 8 bytes. */
void dat_file_add(struct dat_file *file, enum dat_file_event id, unsigned pid, unsigned delta_ns,
		  const uint64_t *words, unsigned count);
/* A mark with TEXT. */
void dat_file_mark(struct dat_file *file, unsigned pid, unsigned delta_ns, const char *text);
/* Say that events were lost before the page. */
void dat_file_lose(struct dat_file *file);
/* The events that dat.c and the fuzz target start from: an arm64 fault and what goes around it. */
void dat_file_example(struct dat_file *file);

#endif

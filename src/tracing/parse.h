/* SPDX-License-Identifier: MIT */
/*
 * From an event's name and text to what it means. One reader per event name; a reader knows the
 * texts that the kernels (and trace-cmd's plugin) print under that name on every architecture.
 */
#ifndef VMMU_TRACING_PARSE_H
#define VMMU_TRACING_PARSE_H

#include <vmmu/trace.h>

#include "tracing/threads.h"

struct vmmu_syndrome;

struct parser {
	struct threads threads;
	enum vmmu_trace_semantics option; /* the user's word on x86 faults */
	enum vmmu_trace_semantics known;  /* x86: what the last telling exit of any thread said */
	const char *architecture;         /* of the first second-stage fault; NULL: none yet */
	uint32_t next_vcpu;               /* number for the next thread that never says its vCPU */
	bool has_slot_marks;              /* script lines of slot calls were met */
	uint64_t write_exits;             /* exits to the VMM for an MMIO write so far */
	int error;                        /* -ENOMEM while reading an event */
};

/*
 * Reads TEXT into EVENT, whose line, time, pid, name and text are set and the rest 0. False: not
 * understood.
 */
typedef bool parse_read(struct parser *parser, const char *text, struct vmmu_trace_event *event);

struct parse_event {
	const char *name;
	parse_read *read;
};

/* Who reads events called NAME (NAME_BYTES characters), or NULL. */
const struct parse_event *parse_find(const char *name, size_t name_bytes);
/* True for names that the kernel's kvm and kvmmmu systems use, known to us or not. */
bool parse_is_kvm_name(const char *name, size_t name_bytes);

/* The event's thread, made if need be, with a vCPU number. NULL and parser->error: no memory. */
struct thread *parse_thread(struct parser *parser, struct vmmu_trace_event *event);
/* As parse_thread(), and the event says that its vCPU is VCPU. */
struct thread *parse_vcpu(struct parser *parser, struct vmmu_trace_event *event, uint64_t vcpu);
/*
 * Make EVENT the second-stage fault that SYNDROME reports on ARCHITECTURE. False: it reports none.
 */
bool parse_fault(struct parser *parser, const char *architecture,
		 const struct vmmu_syndrome *syndrome, struct vmmu_trace_event *event);

/*
 * Does a new line of the recorded script start here? What host lines say belongs to the line
 * before.
 */
bool parse_is_script_line(const struct vmmu_trace_event *event);

/* The readers, by family. */
parse_read parse_x86_page_fault, parse_x86_nested_exit, parse_x86_nested_enter, parse_x86_smm;
parse_read parse_entry, parse_exit, parse_guest_fault;
parse_read parse_mmio, parse_match_mmio, parse_fast_mmio, parse_arm_mmio, parse_mmio_fault;
parse_read parse_userspace_exit;
parse_read parse_unmap, parse_set_hva, parse_age, parse_test_age, parse_stage2;
parse_read parse_invalidate_end, parse_collapse;
parse_read parse_requested, parse_set_spte, parse_spte_changed, parse_mark_mmio, parse_check_mmio;
parse_read parse_fast_fault, parse_get_page, parse_zap_page, parse_zap_all, parse_split;
parse_read parse_script;

#endif

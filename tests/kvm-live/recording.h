/* SPDX-License-Identifier: MIT */
/*
 * One recording of the kvm-live kit, as parsed: the trace's events, and the replies that the kit's
 * VMM printed. Inputs and verdicts are still mixed here; script.h takes the ones out, expected.h
 * the others. A copy may be changed at will.
 */
#ifndef TESTS_KVM_LIVE_RECORDING_H
#define TESTS_KVM_LIVE_RECORDING_H

#include <vmmu/trace.h>

enum reply_kind {
	REPLY_SLOT,   /* id, hva (an input), result */
	REPLY_ACCESS, /* address, result */
	REPLY_DIRTY,  /* id, result = pages, or negative */
};

/* A line of NAME.slots.txt. */
struct reply {
	enum reply_kind kind;
	unsigned id;
	uint64_t hva, address; /* bytes */
	int64_t result;
};

struct recording {
	const char *name;
	struct vmmu_trace_event *events; /* name is NULL; text is the recording's */
	size_t event_count;
	struct reply *replies;
	size_t reply_count;
	char **texts; /* owned; NULL in a copy, which lives no longer than its original */
};

/*
 * Read recording NAME of x86-6.1/direct. False, with a line on stderr: it cannot be read, or holds
 * a line that nothing understands.
 */
bool recording_load(struct recording *recording, const char *name);
void recording_copy(struct recording *copy, const struct recording *original);
void recording_free(struct recording *recording);
/* Is EVENT a line of the script? Its text is the line then. */
bool recording_is_mark(const struct vmmu_trace_event *event);
/* Did the VMM print something about the script's line TEXT? */
bool recording_has_reply(const char *text);
/* Take event INDEX out. */
void recording_drop(struct recording *recording, size_t index);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A bounded look-ahead over a trace: the events that come next, as values of their own.
 */
#ifndef VMMU_TRACING_REPLAY_QUEUE_H
#define VMMU_TRACING_REPLAY_QUEUE_H

#include <vmmu/trace.h>

/*
 * A power of two. Enough for the lines that one access may leave behind when a huge page is split.
 */
#define REPLAY_QUEUE_EVENTS 1024u

struct replay_queue {
	struct vmmu_trace *trace;
	uint64_t read;  /* events ever taken from the trace */
	uint64_t taken; /* events ever handed out */
	int end;        /* what stopped the reading: 0 not yet, 1 the end of the trace, or -errno */
	uint64_t *kinds; /* counts by kind of every event read, VMMU_TRACE_KINDS long */
	struct vmmu_trace_event events[REPLAY_QUEUE_EVENTS];
};

/* Start on TRACE, which stands at its first event. KINDS is added to. */
void replay_queue_init(struct replay_queue *queue, struct vmmu_trace *trace, uint64_t *kinds);
/*
 * Next event: 1 and *EVENT filled (its name and text are NULL); 0 at the end; or the reader's
 * -errno.
 */
int replay_queue_next(struct replay_queue *queue, struct vmmu_trace_event *event);
/*
 * The event that comes INDEX (0, 1, ...) after the last one handed out; NULL past the end of the
 * trace or of the queue. May be changed: it is what replay_queue_next() will give. Valid until
 * then.
 */
struct vmmu_trace_event *replay_queue_peek(struct replay_queue *queue, unsigned index);

#endif

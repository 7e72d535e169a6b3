/* SPDX-License-Identifier: MIT */
#include "tracing/replay_queue.h"

#include <string.h>

void replay_queue_init(struct replay_queue *queue, struct vmmu_trace *trace, uint64_t *kinds)
{
	queue->trace = trace;
	queue->read = 0;
	queue->taken = 0;
	queue->end = 0;
	queue->kinds = kinds;
}

static struct vmmu_trace_event *place(struct replay_queue *queue, uint64_t number)
{
	return &queue->events[number % REPLAY_QUEUE_EVENTS];
}

/* Read one more event. False: there is none, see queue->end. */
static bool read_one(struct replay_queue *queue)
{
	struct vmmu_trace_event *event = place(queue, queue->read);
	int ret = vmmu_trace_next(queue->trace, event);

	if (ret != 1) {
		queue->end = ret < 0 ? ret : 1;
		return false;
	}
	if ((unsigned)event->kind < VMMU_TRACE_KINDS)
		queue->kinds[event->kind]++;
	/*
	 * A vCPU thread that goes to userspace has left its fault behind, which an unknown event
	 * would not say.
	 */
	if (event->kind == VMMU_TRACE_OTHER && event->name &&
	    !strcmp(event->name, "kvm_userspace_exit"))
		event->kind = VMMU_TRACE_EXIT;
	/* Both point into the reader's line, which is about to be overwritten. */
	event->name = NULL;
	event->text = NULL;
	queue->read++;
	return true;
}

static void fill(struct replay_queue *queue)
{
	while (!queue->end && queue->read - queue->taken < REPLAY_QUEUE_EVENTS)
		if (!read_one(queue))
			break;
}

int replay_queue_next(struct replay_queue *queue, struct vmmu_trace_event *event)
{
	if (queue->read == queue->taken)
		fill(queue);
	if (queue->read == queue->taken)
		return queue->end < 0 ? queue->end : 0;
	*event = *place(queue, queue->taken++);
	return 1;
}

struct vmmu_trace_event *replay_queue_peek(struct replay_queue *queue, unsigned index)
{
	if (index >= REPLAY_QUEUE_EVENTS)
		return NULL;
	if (index >= queue->read - queue->taken)
		fill(queue);
	if (index >= queue->read - queue->taken)
		return NULL;
	return place(queue, queue->taken + index);
}

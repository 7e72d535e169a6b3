/* SPDX-License-Identifier: MIT */
#include "interleave/events.h"

#include <stdlib.h>
#include <string.h>

#include "interleave/memory.h"

#define ACCESSES_MAX (STEPS_MAX + STEPS_MAX / 2)
#define OBJECTS_LG2  16u
#define WORD_MIN     4u /* bytes: of what an atomic operation is about, as far as frees go */

/* How an event uses a thing. Two uses by one class of the last four that is no WRITE commute. */
enum access_class {
	ACCESS_ENTER,
	ACCESS_GRACE,
	ACCESS_ACQUIRE,
	ACCESS_RELEASE,
	ACCESS_READ,
	ACCESS_ADD,
	ACCESS_OR,
	ACCESS_WRITE,
	ACCESS_NONE,
};

struct access {
	uint64_t key;
	int event;
	int before; /* the access to the same thing before; -1: none */
	int next;   /* another of the same event; -1: none */
	enum access_class class;
};

/* A thing that threads share. */
struct object {
	uint64_t key;
	unsigned run;                   /* of this run, if it is the current number */
	int last;                       /* access */
	uint32_t released[THREADS_MAX]; /* lock: clock of who gave it back last */
};

static struct event events[STEPS_MAX];
static struct access accesses[ACCESSES_MAX];
static struct object objects[1u << OBJECTS_LG2];
static int frees[STEPS_MAX]; /* events that freed memory */
static unsigned event_count, access_count, free_count, run_number, thread_count;
static uint32_t thread_clock[THREADS_MAX][THREADS_MAX]; /* of its last complete event */
static int leaves[THREADS_MAX][STEPS_MAX]; /* LEAVE of a thread's section, counted from 1 */
static unsigned leave_count[THREADS_MAX];

void events_reset(unsigned count)
{
	event_count = access_count = free_count = 0;
	thread_count = count;
	run_number++;
	memset(thread_clock, 0, sizeof(thread_clock));
	memset(leave_count, 0, sizeof(leave_count));
}

unsigned schedule_steps(void)
{
	return event_count;
}

const struct event *schedule_event(unsigned step)
{
	return &events[step];
}

struct event *events_at(unsigned step)
{
	return &events[step];
}

struct event *events_add(unsigned thread, const struct op *op, unsigned enabled)
{
	struct event *event = &events[event_count++];

	*event = (struct event){
		.op = *op, .thread = (uint8_t)thread, .enabled = (uint8_t)enabled, .access = -1};
	return event;
}

bool schedule_happens_before(const struct event *first, const struct event *second)
{
	return second->clock[first->thread] >= event_index(first);
}

/* ---- things and accesses ---- */

static struct object *object_of(uint64_t key)
{
	uint64_t at = key * UINT64_C(0x9e3779b97f4a7c15) >> (64 - OBJECTS_LG2);

	for (unsigned tries = 0; tries < 1u << OBJECTS_LG2; tries++) {
		struct object *object = &objects[at];

		if (object->run == run_number && object->key == key)
			return object;
		if (object->run != run_number) {
			*object = (struct object){.key = key, .run = run_number, .last = -1};
			return object;
		}
		at = (at + 1) & ((1u << OBJECTS_LG2) - 1);
	}
	abort();
}

static enum access_class class_of(const struct event *event)
{
	static const enum access_class classes[POINT_KINDS] = {
		[POINT_LOAD] = ACCESS_READ,      [POINT_STORE] = ACCESS_WRITE,
		[POINT_EXCHANGE] = ACCESS_WRITE, [POINT_COMPARE] = ACCESS_WRITE,
		[POINT_ADD] = ACCESS_ADD,        [POINT_OR] = ACCESS_OR,
		[POINT_AND] = ACCESS_WRITE,      [POINT_LOCK] = ACCESS_ACQUIRE,
		[POINT_UNLOCK] = ACCESS_RELEASE, [POINT_WAITER] = ACCESS_WRITE,
		[POINT_SIGNAL] = ACCESS_WRITE,   [POINT_WAKE] = ACCESS_ACQUIRE,
		[POINT_ENTER] = ACCESS_ENTER,    [POINT_LEAVE] = ACCESS_NONE,
		[POINT_GRACE] = ACCESS_GRACE,    [POINT_GRACE_END] = ACCESS_NONE,
		[POINT_YIELD] = ACCESS_READ,     [POINT_GUEST] = ACCESS_READ,
		[POINT_HOST] = ACCESS_WRITE,     [POINT_FREE] = ACCESS_NONE,
		[POINT_START] = ACCESS_NONE,
	};

	if (event->op.kind == POINT_COMPARE && !event->is_write)
		return ACCESS_READ;
	return classes[event->op.kind];
}

static void access_add(struct event *event, uint64_t key, enum access_class class)
{
	struct access *access = &accesses[access_count];

	if (access_count == ACCESSES_MAX)
		abort();
	*access = (struct access){key, (int)(event - events), -1, event->access, class};
	event->access = (int)access_count++;
}

void events_touch(struct event *event, uint64_t key, bool is_write)
{
	access_add(event, key, is_write ? ACCESS_OR : ACCESS_READ);
}

/* Does the order of two uses of one thing matter, and could it be the other? */
static bool classes_depend(enum access_class a, enum access_class b)
{
	if (a <= ACCESS_GRACE)
		return a != b && b <= ACCESS_GRACE;
	if (a == ACCESS_ACQUIRE)
		return b == ACCESS_ACQUIRE;
	if (a == ACCESS_RELEASE || a == ACCESS_NONE || b <= ACCESS_RELEASE || b == ACCESS_NONE)
		return false;
	return a == ACCESS_WRITE || a != b;
}

/* ---- clocks and races ---- */

/* A complete event finds what it depends on. */
struct completion {
	struct event *event;
	uint32_t covered[THREADS_MAX]; /* what happened before it, as far as is known */
	const struct chooser *chooser;
};

static void clock_join(uint32_t *to, const uint32_t *from)
{
	for (unsigned i = 0; i < THREADS_MAX; i++)
		to[i] = to[i] > from[i] ? to[i] : from[i];
}

/* A loop that waits could not go on before EARLIER: what it waited for had not come. */
static bool completion_could_not_be_first(const struct completion *completion,
					  const struct event *earlier)
{
	const struct event *event = completion->event;

	return event->op.kind == POINT_YIELD && earlier->old_value == event->old_value;
}

/* The event's clock, as far as it is known. */
static void completion_show(struct completion *completion)
{
	struct event *event = completion->event;
	uint32_t index = event_index(event);

	memcpy(event->clock, completion->covered, sizeof(event->clock));
	event->clock[event->thread] = index;
}

/* The event depends on EARLIER, one of another thread's. */
static void completion_meets(struct completion *completion, const struct event *earlier)
{
	bool is_race = event_index(earlier) > completion->covered[earlier->thread] &&
		       !completion_could_not_be_first(completion, earlier);

	clock_join(completion->covered, earlier->clock);
	if (!is_race || !completion->chooser->raced)
		return;
	completion_show(completion);
	completion->chooser->raced(completion->chooser->ctx, (unsigned)(earlier - events),
				   (unsigned)(completion->event - events));
}

/* Is ACCESS one that everything before it on the same thing depends on? */
static bool access_orders_all(const struct access *access)
{
	return access->class == ACCESS_WRITE || access->class == ACCESS_ACQUIRE;
}

/* Go back over the uses of one thing, and put ACCESS at their end. */
static void completion_walk(struct completion *completion, struct access *access)
{
	struct object *object = object_of(access->key);

	access->before = object->last;
	for (int at = object->last; at >= 0; at = accesses[at].before) {
		const struct access *other = &accesses[at];
		const struct event *earlier = &events[other->event];

		if (earlier->thread != completion->event->thread &&
		    classes_depend(access->class, other->class))
			completion_meets(completion, earlier);
		if (access_orders_all(other))
			break;
	}
	object->last = (int)(access - accesses);
	if (access->class == ACCESS_ACQUIRE)
		clock_join(completion->covered, object->released);
}

static bool event_frees(const struct event *event, uint64_t key)
{
	return key - event->op.key < event->op.bytes;
}

/* Memory went back: every use of it before counts, as would every later one. */
static void completion_frees(struct completion *completion)
{
	for (int at = (int)access_count - 1; at >= 0; at--) {
		const struct event *earlier = &events[accesses[at].event];

		if (earlier->thread != completion->event->thread &&
		    event_frees(completion->event, accesses[at].key))
			completion_meets(completion, earlier);
	}
	frees[free_count++] = (int)(completion->event - events);
}

static void completion_uses(struct completion *completion, uint64_t key)
{
	for (unsigned i = 0; i < free_count; i++) {
		const struct event *earlier = &events[frees[i]];

		if (earlier->thread != completion->event->thread && event_frees(earlier, key))
			completion_meets(completion, earlier);
	}
}

/*
 * A section that had begun when the wait began is over when it ends: whether it was over already
 * then makes no difference.
 */
static void completion_leaves(struct completion *completion, unsigned thread)
{
	uint64_t section = completion->event->old_value >> thread * EVENT_SECTION_BITS &
			   ((1u << EVENT_SECTION_BITS) - 1);

	if (section && section <= leave_count[thread])
		clock_join(completion->covered, events[leaves[thread][section - 1]].clock);
}

/* What orders without a choice: a signal before who wakes, readers before who waited for them. */
static void completion_waits(struct completion *completion)
{
	const struct event *event = completion->event;
	int at = -1;

	if (event->op.kind == POINT_WAKE)
		at = object_of(event->old_value)->last;
	while (at >= 0 && events[accesses[at].event].op.kind != POINT_SIGNAL)
		at = accesses[at].before;
	if (at >= 0)
		clock_join(completion->covered, events[accesses[at].event].clock);
	for (unsigned i = 0; event->op.kind == POINT_GRACE_END && i < thread_count; i++)
		completion_leaves(completion, i);
}

static void completion_end(struct completion *completion)
{
	struct event *event = completion->event;

	completion_show(completion);
	memcpy(thread_clock[event->thread], event->clock, sizeof(event->clock));
	if (event->op.kind == POINT_LEAVE)
		leaves[event->thread][leave_count[event->thread]++] = (int)(event - events);
	if (event->op.kind == POINT_UNLOCK)
		memcpy(object_of(event->op.key)->released, event->clock, sizeof(event->clock));
}

void events_complete(struct event *event, const struct chooser *chooser)
{
	struct completion completion = {.event = event, .chooser = chooser};
	enum access_class class = class_of(event);

	memcpy(completion.covered, thread_clock[event->thread], sizeof(completion.covered));
	event->clock[event->thread] = completion.covered[event->thread] + 1;
	if (class != ACCESS_NONE) {
		bool is_host = event->op.kind == POINT_GUEST || event->op.kind == POINT_HOST;

		access_add(event, is_host ? KEY_HOST : event->op.key, class);
	}
	for (int at = event->access; at >= 0; at = accesses[at].next) {
		completion_walk(&completion, &accesses[at]);
		if (free_count)
			completion_uses(&completion, accesses[at].key);
	}
	if (event->op.kind == POINT_FREE)
		completion_frees(&completion);
	completion_waits(&completion);
	completion_end(&completion);
	if (chooser->done)
		chooser->done(chooser->ctx, (unsigned)(event - events));
}

void schedule_uses(const struct event *event, void (*fn)(void *ctx, uint64_t key, bool is_write),
		   void *ctx)
{
	for (int at = event->access; at >= 0; at = accesses[at].next)
		if (accesses[at].class >= ACCESS_READ && accesses[at].key > KEY_HOST)
			fn(ctx, accesses[at].key, accesses[at].class != ACCESS_READ);
	for (unsigned i = 0; event->op.kind == POINT_FREE && i < event->op.bytes; i += WORD_MIN)
		fn(ctx, event->op.key + i, true);
}

/* ---- steps that have not been taken yet ---- */

static bool op_is_of_entries(const struct op *op)
{
	return op->kind <= POINT_AND && memory_is_frame(op->address);
}

/* A walk of a guest's may look at any entry, and may change it. */
static bool guest_depends(const struct op *op)
{
	return op->kind == POINT_HOST || op->kind == POINT_FREE || op_is_of_entries(op);
}

static bool free_depends(const struct op *op, const struct op *other)
{
	return other->kind <= POINT_AND && other->key - op->key < op->bytes;
}

bool schedule_ops_depend(const struct op *a, const struct op *b)
{
	struct event first = {.op = *a, .is_write = true}, second = {.op = *b, .is_write = true};

	if (a->kind == POINT_GUEST || b->kind == POINT_GUEST)
		return guest_depends(a) || guest_depends(b);
	if (a->kind == POINT_HOST && b->kind == POINT_HOST)
		return true;
	if (a->kind == POINT_FREE || b->kind == POINT_FREE)
		return free_depends(a, b) || free_depends(b, a);
	return a->key == b->key && classes_depend(class_of(&first), class_of(&second));
}

/* SPDX-License-Identifier: MIT */
#include "tracing/threads.h"

#include <string.h>

#include "base/mem.h"

#define THREADS_FIRST 16u

static uint32_t *threads_bucket(const struct threads *threads, uint32_t pid)
{
	return &threads->buckets[(pid * UINT32_C(0x9e3779b1) >> 8) % (2 * threads->capacity)];
}

static void threads_link(struct threads *threads, uint32_t index)
{
	uint32_t *bucket = threads_bucket(threads, threads->entries[index].pid);

	threads->entries[index].next = *bucket;
	*bucket = index + 1;
}

static void threads_unlink(struct threads *threads, uint32_t index)
{
	uint32_t *link = threads_bucket(threads, threads->entries[index].pid);

	while (*link != index + 1)
		link = &threads->entries[*link - 1].next;
	*link = threads->entries[index].next;
}

static bool threads_grow(struct threads *threads)
{
	uint32_t capacity = threads->capacity ? 2 * threads->capacity : THREADS_FIRST;
	struct thread *entries = mem_alloc_array(capacity, sizeof(*entries));
	uint32_t *buckets = mem_alloc_array(2 * (size_t)capacity, sizeof(*buckets));

	if (!entries || !buckets) {
		mem_free(entries);
		mem_free(buckets);
		return false;
	}
	if (threads->count)
		memcpy(entries, threads->entries, threads->count * sizeof(*entries));
	mem_free(threads->entries);
	mem_free(threads->buckets);
	threads->entries = entries;
	threads->buckets = buckets;
	threads->capacity = capacity;
	for (uint32_t i = 0; i < threads->count; i++)
		threads_link(threads, i);
	return true;
}

struct thread *threads_find(struct threads *threads, uint32_t pid)
{
	uint32_t index;

	if (!threads->count)
		return NULL;
	if (threads->entries[threads->last].pid == pid)
		return &threads->entries[threads->last];
	for (index = *threads_bucket(threads, pid); index;
	     index = threads->entries[index - 1].next) {
		if (threads->entries[index - 1].pid == pid) {
			threads->last = index - 1;
			return &threads->entries[index - 1];
		}
	}
	return NULL;
}

struct thread *threads_get(struct threads *threads, uint32_t pid)
{
	struct thread *thread = threads_find(threads, pid);
	uint32_t index;

	if (thread)
		return thread;
	if (threads->count < THREADS_MAX) {
		if (threads->count == threads->capacity && !threads_grow(threads))
			return NULL;
		index = threads->count++;
	} else {
		index = threads->oldest;
		threads->oldest = (threads->oldest + 1) % THREADS_MAX;
		threads_unlink(threads, index);
	}
	thread = &threads->entries[index];
	*thread = (struct thread){.pid = pid, .vcpu = THREADS_NO_VCPU};
	threads_link(threads, index);
	threads->last = index;
	return thread;
}

void threads_clear(struct threads *threads)
{
	if (threads->capacity)
		memset(threads->buckets, 0,
		       2 * (size_t)threads->capacity * sizeof(*threads->buckets));
	threads->count = 0;
	threads->oldest = 0;
	threads->last = 0;
}

void threads_destroy(struct threads *threads)
{
	mem_free(threads->entries);
	mem_free(threads->buckets);
	*threads = (struct threads){0};
}

/* SPDX-License-Identifier: MIT */
/*
 * What is known about each thread of a trace. Bounded: beyond THREADS_MAX the thread seen first is
 * forgotten.
 */
#ifndef VMMU_TRACING_THREADS_H
#define VMMU_TRACING_THREADS_H

#include <vmmu/trace.h>

#define THREADS_MAX     65536u
#define THREADS_NO_VCPU UINT32_MAX

struct thread {
	uint32_t pid;
	uint32_t next; /* index + 1 of the next thread in the bucket; 0: none */
	uint32_t vcpu; /* THREADS_NO_VCPU: it never said */
	enum vmmu_trace_semantics
		exit; /* x86: what its last exit makes of a fault; AUTO: that exit was no fault */
	uint64_t exit_info;    /* x86: first information word of that exit */
	uint64_t fault_gpa;    /* of its last second-stage fault */
	unsigned fault_access; /* likewise; 0: no fault yet */
	bool is_nested;        /* x86: its last exit was out of a nested guest */
	bool has_flat_nested;  /* x86: its nested guest runs without second-stage tables of its own
			       */
};

struct threads {
	struct thread *entries; /* capacity of them */
	uint32_t *buckets;      /* 2 * capacity: index + 1; 0: empty */
	uint32_t count, capacity;
	uint32_t oldest; /* the entry to give up next once all THREADS_MAX are in use */
	uint32_t last;   /* index of the thread found last */
};

/* The thread PID, or NULL when it is not known. */
struct thread *threads_find(struct threads *threads, uint32_t pid);
/* The thread PID, made if need be; NULL: no memory. The pointer is good until the next call. */
struct thread *threads_get(struct threads *threads, uint32_t pid);
/* Forget all threads. */
void threads_clear(struct threads *threads);
void threads_destroy(struct threads *threads);

#endif

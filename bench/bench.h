/* SPDX-License-Identifier: MIT */
/*
 * Workloads, and how one of them is measured.
 *
 * A subject is something that can do the workloads: the library with some format, or a floor. Each
 * subject's source includes workload_impl.h, so that the loops around its calls are the same code.
 * main.c runs subject after subject, again and again, and prints medians.
 */
#ifndef VMMU_BENCH_BENCH_H
#define VMMU_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <vmmu/format.h>

/* Repetitions at most. */
#define BENCH_REPS_MAX 63

/* The names are in measure.c. */
enum workload {
	MAP_ASCENDING,          /* 1 GiB by calls of one 4K page */
	MAP_RANDOM,             /* the same in random order */
	MAP_RANGE,              /* 1 GiB by one call, 4K leaves; a page */
	MAP_BLOCKS,             /* 64 GiB by calls of 2M */
	UNMAP_PAGES,            /* 1 GiB by calls of one 4K page */
	PROTECT_CLEAN,          /* write-protect 1 GiB by one call; a page */
	PROTECT_AGAIN,          /* the same after every page was made writable again */
	FIX_ASCENDING,          /* give write permission back, page by page */
	FIX_RANDOM,             /* the same in random order */
	UNMAP,                  /* unmap 1 GiB by one call, tables given back; a page */
	DETACH,                 /* calls that take 1 GiB each out of the tree, alone; a page */
	SPLIT,                  /* unmap one page of a 2M block */
	TRANSLATE_HOT,          /* 64 MiB, independent addresses */
	TRANSLATE_HOT_LATENCY,  /* each address depends on the last result */
	TRANSLATE_ONCE,         /* hot, each in a read section of its own */
	TRANSLATE_COLD,         /* 64 GiB of 4K leaves, independent */
	TRANSLATE_COLD_LATENCY, /* dependent */
	TRANSLATE_BATCH,        /* cold, 256 to a call */
	FAULT_FRESH,            /* a whole vmmu_fault() that maps a 4K page */
	FAULT_FAST,             /* one that gives write permission back without the lock */
	REPLAY,                 /* a recorded boot, reading included; a fault */
	/* In tdp roots: */
	TDP_FRESH,     /* FAULT_FRESH */
	TDP_RANDOM,    /* in random order */
	TDP_LOG,       /* 1 GiB begins to log writes, which takes WRITE away; a page */
	TDP_FAST,      /* FAULT_FAST */
	TDP_DIRTY_1,   /* dirty log of 1 GiB, 1 % of it written: get, then clear; a page written */
	TDP_DIRTY_50,  /* 50 % */
	TDP_DIRTY_100, /* all */
	TDP_BLOCKS,    /* faults that map 64 GiB by 2M */
	/* 1 GiB of 4K pages mapped ahead by one call, the host asked for each; a page */
	TDP_PREFAULT_EACH,
	TDP_PREFAULT,        /* the same, and the host tells of many at once */
	TDP_PREFAULT_BLOCKS, /* 64 GiB by 2M; a block */
	/* By updates that several may make at once: */
	SHARE_ASCENDING, /* MAP_ASCENDING */
	SHARE_RANDOM,    /* MAP_RANDOM */
	SHARE_RANGE,     /* MAP_RANGE */
	SHARE_BLOCKS,    /* MAP_BLOCKS */
	SHARE_FIX,       /* FIX_ASCENDING */
	SHARE_FIX_RANDOM,
	/* N threads, each with a vCPU, fault 4 GiB in together; a page */
	DISJOINT_1, /* each a part of its own */
	DISJOINT_2,
	DISJOINT_4,
	DISJOINT_8,
	SHARED_1, /* each a part of every 2M */
	SHARED_2,
	SHARED_4,
	SHARED_8,
	WORKLOADS,
};

/* Numbers of threads: 1, 2, 4, 8. */
#define BENCH_THREADS_LG2 4u

/* How much of everything. Under valgrind less does: instruction counts do not scatter. */
struct bench_sizes {
	uint64_t pages, blocks, splits, walks, hot_pages, cold_pages;
	uint64_t thread_pages; /* 0: no threads, no memory_pages: nothing to count */
	uint64_t memory_pages;
	unsigned reps;
};

/* One subject's run. */
struct bench_run {
	const char *subject;
	const struct bench_sizes *sizes;
	const struct vmmu_format *format; /* what the library builds; floors ignore it */
	const uint32_t *order;            /* every page once, in random order */
	const uint32_t *hot, *cold;       /* pages to translate */
	const char *trace, *layout;       /* for REPLAY */
	void *cold_tables;                /* kept from one repetition to the next */
	bool is_counted;                  /* under callgrind */
	double start_ns;
	double ns[WORKLOADS][BENCH_REPS_MAX]; /* per operation */
	unsigned count[WORKLOADS];
};

/* The workloads in groups that share tables; each subject has all or NULL. */
struct bench_subject {
	const char *name;
	void (*map_pages)(struct bench_run *run);
	void (*map_random)(struct bench_run *run);
	void (*ranges)(struct bench_run *run);
	void (*detach)(struct bench_run *run);
	void (*blocks)(struct bench_run *run);
	void (*hot)(struct bench_run *run);
	void (*cold)(struct bench_run *run);
	void (*cold_end)(struct bench_run *run);
	void (*faults)(struct bench_run *run);
	void (*tdp)(struct bench_run *run);
	void (*share)(struct bench_run *run);
	void (*threads)(struct bench_run *run, unsigned threads_lg2);
	void (*memory)(struct bench_run *run);
};

extern const struct bench_subject bench_floor, bench_floor_cas, bench_vmmu;

const char *bench_name(enum workload workload);
/* Between these two is what is measured: OPS operations of WORKLOAD. */
void bench_begin(struct bench_run *run);
void bench_end(struct bench_run *run, enum workload workload, uint64_t ops);
/* The same where several threads did it, in NS of the clock on the wall. */
void bench_took(struct bench_run *run, enum workload workload, uint64_t ops, double ns);
/* A result is wrong: says which and ends the program. */
_Noreturn void bench_fail(const struct bench_run *run, const char *file, int line,
			  const char *what);

#define bench_expect(run, condition)                                     \
	do {                                                             \
		if (!(condition))                                        \
			bench_fail(run, __FILE__, __LINE__, #condition); \
	} while (0)

/* vmmu_fault.c: FAULT_FRESH, FAULT_FAST, REPLAY. */
void bench_faults(struct bench_run *run);
/* vmmu_tdp.c */
void bench_tdp(struct bench_run *run);
/* vmmu_share.c */
void bench_share(struct bench_run *run);
/* vmmu_threads.c: the library's DISJOINT_*, SHARED_*. */
void bench_threads(struct bench_run *run, unsigned threads_lg2);
/* vmmu_memory.c: prints what a mapped GiB takes. */
void bench_memory(struct bench_run *run);

#endif

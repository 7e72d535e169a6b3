/* SPDX-License-Identifier: MIT */
/*
 * Failures injected: a table of operations, each run with its n-th allocation, table frame or
 * callback answer failing, for every n. What must hold each time is in inject_test.c; what the
 * operations are, in inject_ops.c.
 */
#ifndef TESTS_FAULTS_INJECT_H
#define TESTS_FAULTS_INJECT_H

#include <vmmu/vmmu.h>

/* What fails. */
enum inject_kind {
	INJECT_HEAP,     /* an allocation */
	INJECT_FRAME,    /* a table frame, and all after it */
	INJECT_CALLBACK, /* a page lookup, in each way that one may end */
	INJECT_LENDER,   /* a frame that the embedder lends, and all after it */
	INJECT_KINDS,
};

/* With kinds below: what fails is the same for all formats, one is enough. */
#define INJECT_ONCE (1u << INJECT_KINDS)

/* A VM with two slots, a vCPU on its root, and a host that has every page. */
struct inject_stage {
	struct vmmu_vm *vm;
	struct vmmu_vcpu *vcpu;
	const struct vmmu_format *format;
	const struct vmmu_geometry *geometry;
	uint64_t large; /* pages of one of level 2 */
	/* made by the operation, destroyed with the stage */
	struct vmmu_vm *other_vm;
	struct vmmu_vcpu *other_vcpu;
	struct vmmu_trace *trace;
	const struct vmmu_format *other_format;
	/* the n-th lookup from here on answers so; < 0: none */
	long lookups_left;
	enum vmmu_resolve_status answer;
	bool has_answered;
	bool is_lent;  /* lender.h has the tables */
	unsigned bugs; /* calls of on_bug */
};

struct inject_op {
	const char *name;
	void (*prepare)(struct inject_stage *stage); /* NULL: nothing; must succeed */
	/* < 0: failed. Run again after a failure, it must succeed. */
	int (*run)(struct inject_stage *stage);
	enum vmmu_mode mode;
	unsigned kinds; /* bit k: something of enum inject_kind k is sure to be used */
};

/* Ends with name NULL. */
extern const struct inject_op inject_ops[];

static inline uint64_t inject_gpa(const struct inject_stage *stage, uint64_t page)
{
	return page << stage->geometry->page_shift;
}

/* KIND: tables are lent with INJECT_LENDER. */
void inject_stage_make(struct inject_stage *stage, const struct vmmu_format *format,
		       enum vmmu_mode mode, enum inject_kind kind);
void inject_stage_end(struct inject_stage *stage);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Facts: what an MMU did, in one language for both sides. KVM's come from its tracepoints
 * (expected.h), the engine's from its events (machine.h); judge.h compares them.
 */
#ifndef TESTS_KVM_LIVE_FACTS_H
#define TESTS_KVM_LIVE_FACTS_H

#include <stddef.h>
#include <stdint.h>

enum fact_kind {
	FACT_FAULT,      /* address = gpa, access, value = enum fact_why */
	FACT_ENDED,      /* how that fault ended: value = enum fact_end */
	FACT_REQUESTED,  /* mapping decided on: address = gfn, pfn, level */
	FACT_SET,        /* leaf written: address = gfn, level, access, pfn, pte */
	FACT_MMIO_SET,   /* MMIO entry written: address = gfn, access, generation */
	FACT_MMIO_CHECK, /* MMIO entry met: pte, generation of the slots, value = is current */
	FACT_FAST_FIX,   /* lockless attempt: address = gpa, old_pte, pte, value = enum fact_end */
	FACT_TABLE_GET,  /* address = gfn, level, value = is new */
	FACT_TABLE_ZAP,  /* address = gfn, level */
	FACT_ZAP_ALL,
	FACT_DONE,   /* one access of the line came to its end in the guest */
	FACT_RESULT, /* the line's access: value = 0, or -1 where running the guest failed */
	FACT_DIRTY,  /* dirty log read: address = slot, value = pages */
	FACT_SLOT,   /* slot call: address = slot, value = its result */
	FACT_KINDS,
};

/* Why hardware refused. */
enum fact_why {
	WHY_ABSENT,
	WHY_REFUSED, /* a leaf without the right */
	WHY_MMIO,    /* an MMIO entry */
};

enum fact_end {
	END_RETRY,
	END_FIXED,
	END_FAST, /* fixed without the lock */
	END_SPURIOUS,
	END_EMULATED,
	END_ERROR, /* no way on: KVM_RUN fails */
	END_SLOW,  /* of a lockless attempt: nothing done, the locked path decides */
};

/* What facts are counted as in a report. */
enum fact_class {
	CLASS_FAULTS,
	CLASS_ENDED,
	CLASS_ENTRIES,
	CLASS_MMIO,
	CLASS_FAST,
	CLASS_TABLES,
	CLASS_RESULTS,
	FACT_CLASSES,
};

/* Which of a fact's fields its kind has; flags. */
enum fact_field {
	FIELD_ADDRESS = 1 << 0,
	FIELD_LEVEL = 1 << 1,
	FIELD_ACCESS = 1 << 2,
	FIELD_PFN = 1 << 3,
	FIELD_PTE = 1 << 4,
	FIELD_OLD_PTE = 1 << 5,
	FIELD_GENERATION = 1 << 6,
	FIELD_VALUE = 1 << 7,
};

struct fact {
	enum fact_kind kind;
	unsigned line; /* of the script; 0: before its first */
	unsigned level, access;
	uint64_t address;
	uint64_t pfn;
	uint64_t old_pte, pte;
	uint64_t generation;
	int64_t value;
};

/* Grows; lines never fall. */
struct facts {
	struct fact *list;
	size_t count, capacity;
};

/* What a kind of fact is: its class and fields. */
struct fact_form {
	const char *name;
	enum fact_class class;
	unsigned fields; /* enum fact_field, or-ed */
};

extern const struct fact_form fact_forms[FACT_KINDS];
extern const char *const fact_class_names[FACT_CLASSES];

/* Aborts without memory: this is a test. */
void facts_add(struct facts *facts, struct fact fact);
void facts_free(struct facts *facts);
/* FACT as text for people, in TEXT of BYTES. */
void fact_print(const struct fact *fact, char *text, size_t bytes);

#endif

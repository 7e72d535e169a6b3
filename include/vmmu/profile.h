/* SPDX-License-Identifier: MIT */
/*
 * What a KVM version makes of the bits that hardware leaves to software: where it keeps its own
 * marks, what its not-present entries hold, how its MMIO entries look, and what of its rules
 * changed between versions. So that entries of a trace, or of tables taken from a kernel, read as
 * that kernel meant them.
 *
 * A format says what hardware makes of an entry, and is the engine's; a profile is data beside it.
 * The engine's own layout is one more profile, of version "vmmu": what its data say is of the plain
 * formats, what it reads is what the format says.
 *
 * Profiles are immutable and live as long as the process; functions that take one are pure and may
 * be called from any thread.
 */
#ifndef VMMU_PROFILE_H
#define VMMU_PROFILE_H

#include <vmmu/format.h>
#include <vmmu/trace.h>
#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vmmu_profile;

/* Bits FIRST..FIRST + COUNT - 1 of a word; COUNT 0: there is no such field. */
struct vmmu_bit_field {
	const char *name; /* NULL where the member's name says it */
	unsigned first, count;
};

/* Rules that are not the same everywhere; flags of vmmu_profile_info.rules. */
enum vmmu_profile_rule {
	/* flushes that changing an entry asks for */
	VMMU_RULE_FLUSH_ACCESSED = 1 << 0, /* accessed cleared */
	VMMU_RULE_FLUSH_DIRTY = 1 << 1,    /* dirty cleared */
	VMMU_RULE_FLUSH_WRITE = 1 << 2,    /* WRITE cleared, MMU-writable stays */
	/* otherwise only: MMU-writable cleared, whether or not WRITE was set */
	VMMU_RULE_FLUSH_FORBID = 1 << 3,
	VMMU_RULE_ACCESSED_ATOMIC = 1 << 4, /* an accessed bit must not be lost */
	VMMU_RULE_BREAK_FIRST = 1 << 5,     /* valid to valid by break-before-make */
	/* policies */
	VMMU_RULE_ZAP_TO_RECOVER = 1 << 6,      /* logging off: huge pages return by faults */
	VMMU_RULE_RECOVER_IN_PLACE = 1 << 7,    /* logging off: huge pages are put together */
	VMMU_RULE_LEAF_STAYS = 1 << 8,          /* as VMMU_POLICY_LEAF_STAYS */
	VMMU_RULE_HUGE_FROM_POOL_ONLY = 1 << 9, /* transparent huge pages map small */
	VMMU_RULE_UNMAP_KEEPS_TABLES = 1 << 10,
	VMMU_RULE_LOGGED_HUGE_EXISTS = 1 << 11, /* logged write to what is mapped huge: EEXIST */
	VMMU_RULE_FREEZE_ABSENT = 1 << 12,      /* as VMMU_POLICY_FREEZE_ABSENT */
	VMMU_RULE_FREEZE_COLLAPSED = 1 << 13,   /* as VMMU_POLICY_FREEZE_COLLAPSED */
	VMMU_RULE_CLEAN_OVER_OTHERS = 1 << 14,  /* as VMMU_POLICY_CLEAN_OVER_OTHERS */
	VMMU_RULE_ZAP_BY_LEVEL = 1 << 15,       /* as VMMU_POLICY_ZAP_BY_LEVEL */
	/* tracing: that a table went is told when all below it is, not before */
	VMMU_RULE_TELL_BELOW_FIRST = 1 << 16,
	/* the host: pages that may be written again are mapped so with their next write only */
	VMMU_RULE_ALLOWED_LATE = 1 << 17,
	VMMU_RULE_EAGER_SPLIT = 1 << 18,  /* logging on: large pages of the TDP MMU are split */
	VMMU_RULE_NX_ANY_TABLE = 1 << 19, /* as VMMU_POLICY_NX_ANY_TABLE */
	/* as VMMU_POLICY_*; LARGE_STAYS is LOGGED_HUGE_EXISTS above */
	VMMU_RULE_EXEC_BY_FETCH = 1 << 20,
	VMMU_RULE_LOGGED_READ_ONLY = 1 << 21,
	VMMU_RULE_NO_MMIO_ENTRIES = 1 << 22,
	VMMU_RULE_LOCKED_FIX = 1 << 23,
	VMMU_RULE_FREE_EMPTY = 1 << 24,
	VMMU_RULE_PROTECT_NEW = 1 << 25,
	VMMU_RULE_RESIZE_BY_FAULTS = 1 << 26, /* as VMMU_RESIZE_BY_FAULTS */
	VMMU_RULE_ZAP_SLOT_RANGE = 1 << 27,   /* as VMMU_SLOT_ZAP_RANGE */
	/* tables are walked by range: tdp roots; and, up to 6.9, as VMMU_POLICY_REMAP_ABSENT */
	VMMU_RULE_NO_RMAPS = 1 << 28,
	VMMU_RULE_STEP_WHOLE = 1 << 29,      /* as VMMU_POLICY_STEP_WHOLE */
	VMMU_RULE_SPLIT_AT_FAULTS = 1 << 30, /* as VMMU_POLICY_SPLIT_AT_FAULTS */
};
/* As VMMU_POLICY_SPLIT_BUT_LAST. One more of them, but no int, as enumerators are. */
#define VMMU_RULE_SPLIT_BUT_LAST (1u << 31)
/* Rules that there may be; some bits have none. */
#define VMMU_RULES_MAX 32

struct vmmu_profile_info {
	const char *name;         /* "kvm-6.12"; unique within an architecture */
	const char *version;      /* "6.12", as vmmu_profile_find() takes it */
	const char *architecture; /* as vmmu_format_info.architecture */
	const char *source;       /* where the facts are from */
	/* which recordings of such a kernel agreed with it; NULL: unverified */
	const char *verified;
	/* masks in a present leaf; 0: this kernel has no such bit */
	uint64_t host_writable, mmu_writable;
	uint64_t present_mark; /* in every entry that it made present */
	uint64_t leaf_set;     /* in every leaf that it made, whatever it grants */
	/* not present to hardware because the accessed bit is kept by hand: what it had been */
	uint64_t saved_read, saved_exec;
	struct vmmu_bit_field ad_type; /* 0 A/D bits, 1 none, 2 dirty by write protection */
	uint64_t absent;               /* of a new table's entries */
	uint64_t frozen;               /* 0: none */
	/* an MMIO entry: (entry & mask) == value; mask 0: there are none */
	uint64_t mmio_mask, mmio_value;
	struct vmmu_bit_field generation_low, generation_high;
	/* the word "role" of a shadow page, in binary traces; NULL: none */
	const struct vmmu_bit_field *role;
	unsigned role_count;
	unsigned rules; /* enum vmmu_profile_rule, or-ed */
};

/* An entry as the kernel of a profile means it. */
struct vmmu_profile_entry {
	struct vmmu_entry entry;
	unsigned ad_type;
	bool is_tracked;       /* a leaf that hardware finds not present: see saved_read */
	unsigned saved_access; /* is_tracked: what it grants once it is used */
	bool is_unexpected;    /* not present, and neither the absent nor the frozen value */
};

/* Profile number INDEX (0, 1, ...) in listing order, or NULL past the last. */
VMMU_API const struct vmmu_profile *vmmu_profile_at(unsigned index);
/*
 * That of VERSION ("6.1", also as "6.1.192"; "vmmu": the engine's own) for ARCHITECTURE; NULL:
 * none.
 */
VMMU_API const struct vmmu_profile *vmmu_profile_find(const char *version,
						      const char *architecture);
/* Never NULL; owned by the profile. */
VMMU_API const struct vmmu_profile_info *vmmu_profile_info(const struct vmmu_profile *profile);
/* The name of one rule, e.g. "flush-accessed"; NULL: no such rule. */
VMMU_API const char *vmmu_profile_rule_name(enum vmmu_profile_rule rule);
/*
 * Read PTE as an entry at LEVEL (1..levels of FORMAT) that this kernel wrote. Total like
 * vmmu_entry_read(). -EINVAL: level out of range, or FORMAT is of another architecture.
 */
VMMU_API int vmmu_profile_read(const struct vmmu_profile *profile, const struct vmmu_format *format,
			       uint64_t pte, unsigned level, struct vmmu_profile_entry *entry);
/*
 * The same in words, as snprintf() writes them: how many characters the whole would have, or
 * -EINVAL as above. TEXT may be NULL if BYTES is 0.
 */
VMMU_API int vmmu_profile_entry_text(const struct vmmu_profile *profile,
				     const struct vmmu_format *format, uint64_t pte, unsigned level,
				     char *text, size_t bytes);
/* A role word in words, likewise. -ENOTSUP: the profile has no roles. */
VMMU_API int vmmu_profile_role_text(const struct vmmu_profile *profile, uint32_t role, char *text,
				    size_t bytes);
/*
 * Which kernel wrote TRACE, as far as it was read: by the values in it, and by what its events
 * print. NULL: it does not tell, or contradicts itself. WHY (may be NULL, WHY_BYTES long) gets by
 * what, or what is left.
 */
VMMU_API const struct vmmu_profile *vmmu_trace_profile(const struct vmmu_trace *trace, char *why,
						       size_t why_bytes);

#ifdef __cplusplus
}
#endif
#endif

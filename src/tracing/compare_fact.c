/* SPDX-License-Identifier: MIT */
/* Facts of a comparison: when two are the same, what class they are of, what they say in words. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "tracing/compare.h"

#define FACT_FRAME_LG2 12
#define FACT_OFFSET    (BIT64(FACT_FRAME_LG2) - 1)

/* Fields that make two facts of one event the same; flags. */
enum fact_field {
	FACT_ADDRESS = 1 << 0,
	FACT_LEVEL = 1 << 1,
	FACT_ACCESS = 1 << 2,
	FACT_PFN = 1 << 3,
	FACT_OLD = 1 << 4,
	FACT_NEW = 1 << 5,
	FACT_PLACE = 1 << 6,
	FACT_GENERATION = 1 << 7,
	FACT_CURRENT = 1 << 8,
	FACT_VALUE = 1 << 9,
	FACT_SPACE = 1 << 10,
	FACT_INSIDE = 1 << 11, /* the kernel's address is inside the engine's leaf */
};

static const struct {
	const char *name;
	unsigned fields;
} fact_forms[VMMU_COMPARE_EVENTS] = {
	[VMMU_COMPARE_ENTRY_CHANGED] = {"kvm_tdp_mmu_spte_changed", FACT_SPACE | FACT_ADDRESS |
									    FACT_LEVEL | FACT_OLD |
									    FACT_NEW},
	[VMMU_COMPARE_MAP_SET] = {"kvm_mmu_set_spte",
				  FACT_ADDRESS | FACT_LEVEL | FACT_ACCESS | FACT_NEW | FACT_PLACE},
	[VMMU_COMPARE_MAP_REQUESTED] = {"kvm_mmu_spte_requested",
					FACT_ADDRESS | FACT_LEVEL | FACT_PFN},
	[VMMU_COMPARE_FAST_FIX] = {"fast_page_fault",
				   FACT_ADDRESS | FACT_OLD | FACT_NEW | FACT_VALUE},
	[VMMU_COMPARE_TABLE_GET] = {"kvm_mmu_get_page", FACT_ADDRESS | FACT_LEVEL | FACT_VALUE},
	[VMMU_COMPARE_TABLE_ZAP] = {"kvm_mmu_prepare_zap_page", FACT_ADDRESS | FACT_LEVEL},
	[VMMU_COMPARE_SPLIT] = {"kvm_mmu_split_huge_page",
				FACT_ADDRESS | FACT_LEVEL | FACT_OLD | FACT_VALUE},
	[VMMU_COMPARE_MMIO_SET] = {"mark_mmio_spte", FACT_ADDRESS | FACT_ACCESS | FACT_GENERATION},
	[VMMU_COMPARE_MMIO_CHECK] = {"check_mmio_spte", FACT_NEW | FACT_CURRENT | FACT_VALUE},
	[VMMU_COMPARE_ZAP_ALL] = {"kvm_mmu_zap_all_fast", 0},
	[VMMU_COMPARE_ENTRY] = {"entry",
				FACT_ADDRESS | FACT_LEVEL | FACT_OLD | FACT_NEW | FACT_PLACE},
	[VMMU_COMPARE_STAGE2_MAP] = {"map", FACT_ADDRESS | FACT_LEVEL | FACT_ACCESS | FACT_PFN},
	[VMMU_COMPARE_STAGE2_UNMAP] = {"unmap", FACT_ADDRESS | FACT_VALUE},
	[VMMU_COMPARE_STAGE2_PROTECT] = {"wrprotect", FACT_ADDRESS | FACT_VALUE},
	[VMMU_COMPARE_STAGE2_RELAX] = {"relax", FACT_INSIDE | FACT_ACCESS},
	[VMMU_COMPARE_FAULT] = {"fault", FACT_ADDRESS | FACT_ACCESS | FACT_VALUE},
	[VMMU_COMPARE_OUTCOME] = {"outcome", FACT_ADDRESS | FACT_VALUE},
	[VMMU_COMPARE_ACCESS] = {"access", FACT_ADDRESS | FACT_ACCESS | FACT_VALUE},
	[VMMU_COMPARE_RESULT] = {"result", FACT_ADDRESS | FACT_VALUE},
	[VMMU_COMPARE_DIRTY] = {"dirty", FACT_ADDRESS | FACT_VALUE},
	[VMMU_COMPARE_PAGE] = {"page", FACT_ADDRESS | FACT_VALUE},
};

const char *vmmu_compare_event_name(enum vmmu_compare_event event)
{
	return (unsigned)event < VMMU_COMPARE_EVENTS ? fact_forms[event].name : NULL;
}

const char *vmmu_compare_entry_name(enum vmmu_compare_entry entry)
{
	static const char *const names[VMMU_COMPARE_ENTRIES] = {
		[VMMU_COMPARE_NO_ENTRY] = "-",        [VMMU_COMPARE_ABSENT] = "absent",
		[VMMU_COMPARE_FROZEN] = "frozen",     [VMMU_COMPARE_MMIO] = "mmio",
		[VMMU_COMPARE_TABLE] = "table",       [VMMU_COMPARE_READ_LEAF] = "leaf r",
		[VMMU_COMPARE_WRITE_LEAF] = "leaf w",
	};

	return (unsigned)entry < VMMU_COMPARE_ENTRIES ? names[entry] : NULL;
}

enum vmmu_compare_entry compare_entry(const struct vmmu_compare *compare, uint64_t pte,
				      unsigned level)
{
	static const enum vmmu_compare_entry entries[] = {
		[VMMU_ENTRY_ABSENT] = VMMU_COMPARE_ABSENT,
		[VMMU_ENTRY_FROZEN] = VMMU_COMPARE_FROZEN,
		[VMMU_ENTRY_MMIO] = VMMU_COMPARE_MMIO,
		[VMMU_ENTRY_TABLE] = VMMU_COMPARE_TABLE,
		[VMMU_ENTRY_LEAF] = VMMU_COMPARE_READ_LEAF,
	};
	struct vmmu_profile_entry read;

	if (vmmu_profile_read(compare->profile, compare->format, pte, level ? level : 1, &read))
		return VMMU_COMPARE_NO_ENTRY;
	if (read.entry.kind == VMMU_ENTRY_LEAF && (read.entry.access & VMMU_WRITE))
		return VMMU_COMPARE_WRITE_LEAF;
	return entries[read.entry.kind];
}

struct vmmu_compare_tally *compare_class(struct vmmu_compare *compare,
					 const struct compare_fact *fact)
{
	unsigned fields = fact_forms[fact->event].fields;
	unsigned level = fact->level <= VMMU_LEVELS_MAX ? fact->level : 0;
	enum vmmu_compare_entry old_entry = VMMU_COMPARE_NO_ENTRY;
	enum vmmu_compare_entry new_entry = VMMU_COMPARE_NO_ENTRY;

	if (fields & FACT_OLD)
		old_entry = compare_entry(compare, fact->old_pte, fact->level);
	if (fields & FACT_NEW)
		new_entry = compare_entry(compare, fact->new_pte, fact->level);
	return &compare->classes[fact->event][level][old_entry][new_entry];
}

/* Where the kernel's hpa of the engine's table frame around HPA is kept; NULL: no such frame. */
static uint64_t *fact_frame(const struct vmmu_compare *compare, uint64_t hpa)
{
	uint64_t index = (hpa - COMPARE_TABLES_HPA) >> FACT_FRAME_LG2;

	return hpa >= COMPARE_TABLES_HPA && index < COMPARE_FRAMES ? &compare->frames[index] : NULL;
}

/* A frame not known yet may be any. */
static bool fact_frames_agree(const struct vmmu_compare *compare, uint64_t kernel, uint64_t engine)
{
	const uint64_t *frame = fact_frame(compare, engine);

	if ((kernel ^ engine) & FACT_OFFSET)
		return false;
	return frame && (!*frame || *frame == (kernel & ~FACT_OFFSET) + 1);
}

/* The engine's table that PTE points to; false: it points to none. */
static bool fact_table(const struct vmmu_compare *compare, uint64_t pte, unsigned level,
		       uint64_t *hpa)
{
	struct vmmu_entry entry;

	if (level < 2 || vmmu_entry_read(compare->format, pte, level, &entry) ||
	    entry.kind != VMMU_ENTRY_TABLE)
		return false;
	*hpa = entry.table_hpa;
	return true;
}

static bool fact_ptes_agree(const struct vmmu_compare *compare, uint64_t kernel, uint64_t engine,
			    unsigned level)
{
	uint64_t kernel_hpa, engine_hpa, bits;

	if (!fact_table(compare, kernel, level, &kernel_hpa) ||
	    !fact_table(compare, engine, level, &engine_hpa))
		return kernel == engine;
	/* All but the address, wherever the format keeps it. */
	bits = compare_table_pte(compare, 0, UINT64_MAX);
	return !((kernel ^ engine) & ~bits) && fact_frames_agree(compare, kernel_hpa, engine_hpa);
}

/*
 * Accesses of a guest with paging of its own are not in the recording, and what hardware marked for
 * them is taken from it: in what was there before, of a leaf, and then in what comes after alike.
 */
static uint64_t fact_marks(const struct vmmu_compare *compare, const struct compare_fact *kernel,
			   const struct compare_fact *engine)
{
	uint64_t marks = kernel->old_pte & ~engine->old_pte;
	enum vmmu_compare_entry entry;

	if (!compare->has_paging || !marks || marks & ~compare_marks(compare, VMMU_WRITE))
		return 0;
	entry = compare_entry(compare, kernel->old_pte, kernel->level);
	return entry == VMMU_COMPARE_READ_LEAF || entry == VMMU_COMPARE_WRITE_LEAF ? marks : 0;
}

static bool fact_entries_agree(const struct vmmu_compare *compare,
			       const struct compare_fact *kernel, const struct compare_fact *engine)
{
	unsigned fields = fact_forms[kernel->event].fields;
	uint64_t marks = fields & FACT_OLD ? fact_marks(compare, kernel, engine) : 0;
	uint64_t new_pte = engine->new_pte | (kernel->new_pte & marks);

	return (!(fields & FACT_OLD) || fact_ptes_agree(compare, kernel->old_pte,
							engine->old_pte | marks, kernel->level)) &&
	       (!(fields & FACT_NEW) ||
		fact_ptes_agree(compare, kernel->new_pte, new_pte, kernel->level));
}

static bool fact_is_inside(const struct vmmu_compare *compare, const struct compare_fact *kernel,
			   const struct compare_fact *engine)
{
	const struct vmmu_geometry *geometry = vmmu_format_info(compare->format)->geometry;

	return kernel->address - engine->address <
	       BIT64(geometry->shift[engine->level] - geometry->page_shift);
}

/* All that is known of the kernel's fault is that the guest went on. */
static bool fact_may_be(const struct compare_fact *kernel, const struct compare_fact *engine)
{
	return kernel->event == VMMU_COMPARE_OUTCOME && kernel->value == COMPARE_ON &&
	       engine->value != COMPARE_ERROR;
}

bool compare_is_equal(const struct vmmu_compare *compare, const struct compare_fact *kernel,
		      const struct compare_fact *engine)
{
	unsigned fields = fact_forms[kernel->event].fields;

	if (kernel->event != engine->event)
		return false;
	return (!(fields & FACT_ADDRESS) || kernel->address == engine->address) &&
	       (!(fields & FACT_LEVEL) || kernel->level == engine->level) &&
	       (!(fields & FACT_SPACE) || kernel->as_id == engine->as_id) &&
	       (!(fields & FACT_ACCESS) || kernel->access == engine->access) &&
	       (!(fields & FACT_PFN) || kernel->pfn == engine->pfn) &&
	       (!(fields & FACT_GENERATION) || kernel->generation == engine->generation) &&
	       (!(fields & FACT_CURRENT) || kernel->current == engine->current) &&
	       (!(fields & FACT_INSIDE) || fact_is_inside(compare, kernel, engine)) &&
	       (!(fields & FACT_VALUE) || kernel->value == engine->value ||
		fact_may_be(kernel, engine)) &&
	       fact_entries_agree(compare, kernel, engine) &&
	       (!(fields & FACT_PLACE) ||
		fact_frames_agree(compare, kernel->pte_hpa, engine->pte_hpa));
}

static void fact_bind(struct vmmu_compare *compare, uint64_t kernel, uint64_t engine)
{
	uint64_t *frame = fact_frame(compare, engine);

	if (frame)
		*frame = (kernel & ~FACT_OFFSET) + 1;
}

static void fact_forget(struct vmmu_compare *compare, uint64_t engine)
{
	uint64_t *frame = fact_frame(compare, engine);

	if (frame)
		*frame = 0;
}

void compare_bind(struct vmmu_compare *compare, const struct compare_fact *kernel,
		  const struct compare_fact *engine)
{
	uint64_t kernel_hpa, engine_hpa;

	/* A frame that was given back serves another table now. */
	if (kernel->event == VMMU_COMPARE_TABLE_GET && engine->value)
		fact_forget(compare, engine->pte_hpa);
	if (kernel->event == VMMU_COMPARE_MAP_SET || kernel->event == VMMU_COMPARE_ENTRY)
		fact_bind(compare, kernel->pte_hpa, engine->pte_hpa);
	if (kernel->event != VMMU_COMPARE_ENTRY_CHANGED && kernel->event != VMMU_COMPARE_ENTRY)
		return;
	/* A table that went may come back as another. */
	if (kernel->event == VMMU_COMPARE_ENTRY_CHANGED &&
	    fact_table(compare, engine->old_pte, engine->level, &engine_hpa))
		fact_forget(compare, engine_hpa);
	if (fact_table(compare, engine->new_pte, engine->level, &engine_hpa) &&
	    fact_table(compare, kernel->new_pte, kernel->level, &kernel_hpa))
		fact_bind(compare, kernel_hpa, engine_hpa);
}

static const char *fact_entry_text(const struct vmmu_compare *compare, uint64_t pte, unsigned level,
				   char *text, size_t bytes)
{
	if (vmmu_profile_entry_text(compare->profile, compare->format, pte, level ? level : 1, text,
				    bytes) < 0)
		snprintf(text, bytes, "?");
	return text;
}

static void fact_entries_text(const struct vmmu_compare *compare, const struct compare_fact *fact,
			      FILE *out)
{
	unsigned fields = fact_forms[fact->event].fields;
	char text[128];

	if (fields & FACT_OLD)
		fprintf(out, " %#" PRIx64 " (%s)", fact->old_pte,
			fact_entry_text(compare, fact->old_pte, fact->level, text, sizeof(text)));
	if ((fields & (FACT_OLD | FACT_NEW)) == (FACT_OLD | FACT_NEW))
		fputs(" ->", out);
	if (fields & FACT_NEW)
		fprintf(out, " %#" PRIx64 " (%s)", fact->new_pte,
			fact_entry_text(compare, fact->new_pte, fact->level, text, sizeof(text)));
}

static void fact_value_text(const struct compare_fact *fact, FILE *out)
{
	static const char *const outcomes[] = {"fixed", "again", "emulated", "error", "on"};
	static const char *const whys[] = {"granted", "absent", "no right", "mmio"};

	switch (fact->event) {
	case VMMU_COMPARE_OUTCOME:
	case VMMU_COMPARE_FAST_FIX:
		fprintf(out, " %s", outcomes[fact->value]);
		break;
	case VMMU_COMPARE_FAULT:
		fprintf(out, " %s", whys[fact->value]);
		break;
	case VMMU_COMPARE_TABLE_GET:
		fputs(fact->value ? " new" : " existing", out);
		break;
	case VMMU_COMPARE_ACCESS:
		fputs(fact->value ? " granted" : " refused", out);
		break;
	case VMMU_COMPARE_MMIO_CHECK:
		fputs(fact->value ? " valid" : " stale", out);
		break;
	default:
		fprintf(out, " %" PRId64, fact->value);
		break;
	}
}

const char *compare_text(const struct vmmu_compare *compare, const struct compare_fact *fact,
			 char *text, size_t bytes)
{
	unsigned fields = fact_forms[fact->event].fields;
	FILE *out = fmemopen(text, bytes, "w");

	*text = '\0';
	if (!out)
		return text;
	fputs(fact_forms[fact->event].name, out);
	if (fields & (FACT_ADDRESS | FACT_INSIDE))
		fprintf(out, " %#" PRIx64, fact->address);
	if (fields & FACT_LEVEL)
		fprintf(out, " level %u", fact->level);
	if (fields & FACT_ACCESS)
		fprintf(out, " access %#x", fact->access);
	if (fields & FACT_PFN)
		fprintf(out, " pfn %#" PRIx64, fact->pfn);
	fact_entries_text(compare, fact, out);
	if (fields & FACT_PLACE)
		fprintf(out, " at %#" PRIx64, fact->pte_hpa);
	if (fields & FACT_GENERATION)
		fprintf(out, " generation %#" PRIx64, fact->generation);
	if (fields & FACT_CURRENT)
		fprintf(out, " current %#" PRIx64, fact->current);
	if (fields & FACT_VALUE)
		fact_value_text(fact, out);
	fclose(out);
	return text;
}

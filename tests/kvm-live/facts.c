/* SPDX-License-Identifier: MIT */
#include "kvm-live/facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <vmmu/types.h>

const struct fact_form fact_forms[FACT_KINDS] = {
	[FACT_FAULT] = {"fault", CLASS_FAULTS, FIELD_ADDRESS | FIELD_ACCESS | FIELD_VALUE},
	[FACT_ENDED] = {"ended", CLASS_ENDED, FIELD_VALUE},
	[FACT_REQUESTED] = {"requested", CLASS_ENTRIES, FIELD_ADDRESS | FIELD_LEVEL | FIELD_PFN},
	/* The bits of the entry are compared for the report, not for the verdict: see judge.h. */
	[FACT_SET] = {"set", CLASS_ENTRIES, FIELD_ADDRESS | FIELD_LEVEL | FIELD_ACCESS | FIELD_PFN},
	[FACT_MMIO_SET] = {"mmio set", CLASS_MMIO, FIELD_ADDRESS | FIELD_ACCESS | FIELD_GENERATION},
	[FACT_MMIO_CHECK] = {"mmio check", CLASS_MMIO, FIELD_PTE | FIELD_GENERATION | FIELD_VALUE},
	[FACT_FAST_FIX] = {"fast fix", CLASS_FAST,
			   FIELD_ADDRESS | FIELD_OLD_PTE | FIELD_PTE | FIELD_VALUE},
	[FACT_TABLE_GET] = {"table", CLASS_TABLES, FIELD_ADDRESS | FIELD_LEVEL | FIELD_VALUE},
	[FACT_TABLE_ZAP] = {"table zapped", CLASS_TABLES, FIELD_ADDRESS | FIELD_LEVEL},
	[FACT_ZAP_ALL] = {"zap all", CLASS_TABLES, 0},
	[FACT_DONE] = {"done", CLASS_RESULTS, 0},
	[FACT_RESULT] = {"result", CLASS_RESULTS, FIELD_VALUE},
	[FACT_DIRTY] = {"dirty", CLASS_RESULTS, FIELD_ADDRESS | FIELD_VALUE},
	[FACT_SLOT] = {"slot", CLASS_RESULTS, FIELD_ADDRESS | FIELD_VALUE},
};

const char *const fact_class_names[FACT_CLASSES] = {
	[CLASS_FAULTS] = "faults",   [CLASS_ENDED] = "ended", [CLASS_ENTRIES] = "entries",
	[CLASS_MMIO] = "mmio",       [CLASS_FAST] = "fast",   [CLASS_TABLES] = "tables",
	[CLASS_RESULTS] = "results",
};

void facts_add(struct facts *facts, struct fact fact)
{
	if (facts->count == facts->capacity) {
		facts->capacity = facts->capacity ? 2 * facts->capacity : 256;
		facts->list = realloc(facts->list, facts->capacity * sizeof(*facts->list));
		if (!facts->list)
			abort();
	}
	facts->list[facts->count++] = fact;
}

void facts_free(struct facts *facts)
{
	free(facts->list);
	*facts = (struct facts){0};
}

static const char *fact_value_name(const struct fact *fact)
{
	static const char *const whys[] = {"absent", "refused", "mmio"};
	static const char *const ends[] = {"retry",    "fixed", "fixed fast", "spurious",
					   "emulated", "error", "not fixed"};

	if (fact->kind == FACT_FAULT)
		return whys[fact->value];
	if (fact->kind == FACT_ENDED || fact->kind == FACT_FAST_FIX)
		return ends[fact->value];
	return NULL;
}

void fact_print(const struct fact *fact, char *text, size_t bytes)
{
	unsigned fields = fact_forms[fact->kind].fields | (fact->kind == FACT_SET ? FIELD_PTE : 0);
	const char *value = fact_value_name(fact);
	FILE *out = fmemopen(text, bytes, "w");

	if (!out)
		abort();
	fputs(fact_forms[fact->kind].name, out);
	if (fields & FIELD_ADDRESS)
		fprintf(out, " %" PRIx64, fact->address);
	if (fields & FIELD_LEVEL)
		fprintf(out, " level %u", fact->level);
	if (fields & FIELD_ACCESS)
		fprintf(out, " %c%c%c", fact->access & VMMU_READ ? 'r' : '-',
			fact->access & VMMU_WRITE ? 'w' : '-',
			fact->access & VMMU_EXEC ? 'x' : '-');
	if (fields & FIELD_PFN)
		fprintf(out, " pfn %" PRIx64, fact->pfn);
	if (fields & FIELD_OLD_PTE)
		fprintf(out, " was %" PRIx64, fact->old_pte);
	if (fields & FIELD_PTE)
		fprintf(out, " pte %" PRIx64, fact->pte);
	if (fields & FIELD_GENERATION)
		fprintf(out, " generation %" PRIx64, fact->generation);
	if (value)
		fprintf(out, " %s", value);
	else if (fields & FIELD_VALUE)
		fprintf(out, " %" PRId64, fact->value);
	fclose(out);
}

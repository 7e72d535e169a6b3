/* SPDX-License-Identifier: MIT */
#include "kvm-live/judge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "kvm-live/host.h"

/* Invented frames of one recording, at most. */
#define JUDGE_FRAMES      8192
#define JUDGE_DIFFERENCES 12
#define JUDGE_TEXT        160

/* Bits of an entry that say the frame. */
#define PTE_ADDRESS BITS64(50, 12)

struct judge {
	uint64_t frames[JUDGE_FRAMES]; /* [invented frame]: KVM's; 0: not seen yet */
	struct judgement *judgement;
	FILE *out;
	const struct script *script;
};

/* One line's facts on one side. */
struct judge_span {
	const struct fact *list;
	size_t count;
};

static bool judge_is_invented(uint64_t pfn)
{
	return pfn - HOST_INVENTED_PFN < JUDGE_FRAMES;
}

static bool judge_pfns_agree(struct judge *judge, uint64_t kvm, uint64_t engine)
{
	uint64_t *frame;

	if (!judge_is_invented(engine))
		return kvm == engine;
	frame = &judge->frames[engine - HOST_INVENTED_PFN];
	if (!*frame)
		*frame = kvm;
	return *frame == kvm;
}

/* Whole entries, frames compared as such. */
static bool judge_ptes_agree(struct judge *judge, uint64_t kvm, uint64_t engine)
{
	uint64_t engine_pfn = (engine & PTE_ADDRESS) >> 12;

	if (!judge_is_invented(engine_pfn))
		return kvm == engine;
	return !((kvm ^ engine) & ~PTE_ADDRESS) &&
	       judge_pfns_agree(judge, (kvm & PTE_ADDRESS) >> 12, engine_pfn);
}

static bool judge_facts_agree(struct judge *judge, const struct fact *kvm,
			      const struct fact *engine)
{
	unsigned fields = fact_forms[kvm->kind].fields;

	if (kvm->kind != engine->kind)
		return false;
	return (!(fields & FIELD_ADDRESS) || kvm->address == engine->address) &&
	       (!(fields & FIELD_LEVEL) || kvm->level == engine->level) &&
	       (!(fields & FIELD_ACCESS) || kvm->access == engine->access) &&
	       (!(fields & FIELD_PFN) || judge_pfns_agree(judge, kvm->pfn, engine->pfn)) &&
	       (!(fields & FIELD_PTE) || judge_ptes_agree(judge, kvm->pte, engine->pte)) &&
	       (!(fields & FIELD_OLD_PTE) ||
		judge_ptes_agree(judge, kvm->old_pte, engine->old_pte)) &&
	       (!(fields & FIELD_GENERATION) || kvm->generation == engine->generation) &&
	       (!(fields & FIELD_VALUE) || kvm->value == engine->value);
}

bool judge_agrees(const struct facts *kvm, const struct facts *engine)
{
	struct judge *judge = calloc(1, sizeof(*judge));
	bool agrees = kvm->count == engine->count;

	if (!judge)
		abort();
	for (size_t i = 0; agrees && i < kvm->count; i++)
		agrees = kvm->list[i].line == engine->list[i].line &&
			 judge_facts_agree(judge, &kvm->list[i], &engine->list[i]);
	free(judge);
	return agrees;
}

/* The facts of LINE, from *NEXT on. */
static struct judge_span judge_span_of(const struct facts *facts, unsigned line, size_t *next)
{
	struct judge_span span = {&facts->list[*next], 0};

	while (*next < facts->count && facts->list[*next].line == line) {
		++*next;
		span.count++;
	}
	return span;
}

/* The next fact of CLASS in SPAN from *INDEX on, or NULL. */
static const struct fact *judge_next(const struct judge_span *span, enum fact_class class,
				     size_t *index)
{
	while (*index < span->count) {
		const struct fact *fact = &span->list[(*index)++];

		if (fact_forms[fact->kind].class == class)
			return fact;
	}
	return NULL;
}

static void judge_say_side(const struct judge *judge, const char *side, const struct fact *fact)
{
	char text[JUDGE_TEXT] = "nothing";

	if (fact)
		fact_print(fact, text, sizeof(text));
	fprintf(judge->out, "      %-7s %s\n", side, text);
}

static void judge_say(const struct judge *judge, const char *what, const struct fact *kvm,
		      const struct fact *engine)
{
	unsigned line = kvm ? kvm->line : engine->line;

	if (!judge->out)
		return;
	fprintf(judge->out, "    line %u, '%s': %s\n", line, judge->script->lines[line].text, what);
	judge_say_side(judge, "KVM", kvm);
	judge_say_side(judge, "engine", engine);
}

static void judge_bits(struct judge *judge, const struct fact *kvm, const struct fact *engine)
{
	struct tally *bits = &judge->judgement->bits;

	if (kvm->kind != FACT_SET || engine->kind != FACT_SET)
		return;
	bits->total++;
	if (judge_ptes_agree(judge, kvm->pte, engine->pte))
		bits->agree++;
	else
		judge_say(judge, "entries with other bits", kvm, engine);
}

/* Compare CLASS within one line. */
static struct tally judge_class(struct judge *judge, enum fact_class class,
				const struct judge_span *kvm_span,
				const struct judge_span *engine_span)
{
	size_t kvm_index = 0, engine_index = 0;
	struct tally tally = {0};

	for (;;) {
		const struct fact *kvm = judge_next(kvm_span, class, &kvm_index);
		const struct fact *engine = judge_next(engine_span, class, &engine_index);

		if (!kvm && !engine)
			return tally;
		tally.total++;
		if (kvm && engine)
			judge_bits(judge, kvm, engine);
		if (kvm && engine && judge_facts_agree(judge, kvm, engine))
			tally.agree++;
		else if (judge->judgement->differences++ < JUDGE_DIFFERENCES)
			judge_say(judge, "they differ", kvm, engine);
	}
}

static bool judge_order_agrees(const struct judge_span *kvm, const struct judge_span *engine)
{
	for (size_t i = 0; i < kvm->count && i < engine->count; i++)
		if (kvm->list[i].kind != engine->list[i].kind)
			return false;
	return kvm->count == engine->count;
}

static void judge_print(const struct judge *judge, const struct tally *tally)
{
	char text[32] = "-";

	if (tally->total)
		snprintf(text, sizeof(text), "%zu/%zu", tally->agree, tally->total);
	if (judge->out)
		fprintf(judge->out, " %9s", text);
}

static void judge_add(struct tally *sum, const struct tally *tally)
{
	sum->agree += tally->agree;
	sum->total += tally->total;
}

static void judge_line(struct judge *judge, unsigned number, const struct judge_span *kvm,
		       const struct judge_span *engine)
{
	const struct script_line *line = &judge->script->lines[number];
	struct tally order = {judge_order_agrees(kvm, engine), 1};
	struct tally tallies[FACT_CLASSES];

	for (unsigned class = 0; class < FACT_CLASSES; class ++)
		tallies[class] = judge_class(judge, class, kvm, engine);
	if (judge->out)
		fprintf(judge->out, "%4u  %-32s %8zu", number, line->text,
			line->accesses_end - line->accesses_start);
	for (unsigned class = 0; class < FACT_CLASSES; class ++) {
		judge_print(judge, &tallies[class]);
		judge_add(&judge->judgement->classes[class], &tallies[class]);
	}
	judge_add(&judge->judgement->order, &order);
	if (judge->out)
		fprintf(judge->out, "%s\n", order.agree ? "" : "  other order");
}

static void judge_print_head(const struct judge *judge)
{
	if (!judge->out)
		return;
	fprintf(judge->out, "line  %-32s %8s", "script", "accesses");
	for (unsigned class = 0; class < FACT_CLASSES; class ++)
		fprintf(judge->out, " %9s", fact_class_names[class]);
	fprintf(judge->out, "\n");
}

static void judge_print_totals(const struct judge *judge)
{
	if (!judge->out)
		return;
	fprintf(judge->out, "      %-32s %8zu", "all", judge->script->access_count);
	for (unsigned class = 0; class < FACT_CLASSES; class ++)
		judge_print(judge, &judge->judgement->classes[class]);
	fprintf(judge->out,
		"\n      lines in the same order: %zu/%zu; leaves equal bit for bit: %zu/%zu\n",
		judge->judgement->order.agree, judge->judgement->order.total,
		judge->judgement->bits.agree, judge->judgement->bits.total);
}

void judge_report(const struct script *script, const struct facts *kvm, const struct facts *engine,
		  FILE *out, struct judgement *judgement)
{
	struct judge *judge = calloc(1, sizeof(*judge));
	size_t kvm_next = 0, engine_next = 0;

	if (!judge)
		abort();
	*judgement = (struct judgement){0};
	judge->judgement = judgement;
	judge->out = out;
	judge->script = script;
	judge_print_head(judge);
	for (unsigned line = 0; line < script->line_count; line++) {
		struct judge_span kvm_span = judge_span_of(kvm, line, &kvm_next);
		struct judge_span engine_span = judge_span_of(engine, line, &engine_next);

		judge_line(judge, line, &kvm_span, &engine_span);
	}
	judge_print_totals(judge);
	free(judge);
}

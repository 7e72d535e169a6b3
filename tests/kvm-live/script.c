/* SPDX-License-Identifier: MIT */
#include "kvm-live/script.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The guest's code: a piece for each kind of access, each ending in hlt. */
static const struct script_code {
	const char *word;
	unsigned access;
	uint64_t pc; /* 0: the address itself is executed */
	unsigned bytes;
	bool has_data;
} script_codes[] = {
	{"r", VMMU_READ, 0x1000, 0, true},    {"w", VMMU_WRITE, 0x1010, 1, true},
	{"x", VMMU_EXEC, 0, 0, true},         {"wq", VMMU_WRITE, 0x1020, 8, true},
	{"wl", VMMU_WRITE, 0x1050, 4, true},  {"invlpg", VMMU_EXEC, 0x1030, 0, false},
	{"cr3", VMMU_EXEC, 0x1040, 0, false},
};
/* Kinds of a "range". */
static const char *const script_ranges[] = {"r", "w", "wq"};
/* What plain writes leave: hlt. */
#define STORED_HLT UINT64_C(0xf4)

/* Where the building stands. */
struct script_build {
	struct script *script;
	const struct recording *recording;
	size_t next_reply;
	size_t next_access;   /* of the line: the first that no host page was seen for */
	size_t pending_start; /* invalidations that no access has claimed */
};

static bool script_complain(const struct recording *recording, const char *what)
{
	fprintf(stderr, "%s: %s\n", recording->name, what);
	return false;
}

static void *script_grow(void *list, size_t count, size_t bytes)
{
	if (count & (count - 1))
		return list;
	list = realloc(list, (count ? 2 * count : 1) * bytes);
	if (!list)
		abort();
	return list;
}

static struct script_line *script_add_line(struct script *script, const char *text)
{
	struct script_line *line;

	script->lines = script_grow(script->lines, script->line_count, sizeof(*script->lines));
	line = &script->lines[script->line_count++];
	*line = (struct script_line){
		.text = text,
		.accesses_start = script->access_count,
		.accesses_end = script->access_count,
		.invalidations_start = script->invalidation_count,
		.invalidations_end = script->invalidation_count,
	};
	sscanf(text, "%11s %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64, line->word,
	       &line->args[0], &line->args[1], &line->args[2], &line->args[3]);
	return line;
}

static void script_add_access(struct script *script, const char *word, uint64_t address,
			      uint64_t value)
{
	const struct script_code *code = script_codes;
	uint64_t at;

	while (strcmp(code->word, word))
		code++;
	at = code->has_data ? address : code->pc;
	script->accesses = script_grow(script->accesses, script->access_count,
				       sizeof(*script->accesses));
	script->accesses[script->access_count++] = (struct script_access){
		.address = at,
		.access = code->access,
		.pc = code->pc ? code->pc : at,
		.value = value,
		.bytes = code->bytes,
	};
}

static bool script_is_access(const char *word)
{
	for (size_t i = 0; i < sizeof(script_codes) / sizeof(*script_codes); i++)
		if (!strcmp(script_codes[i].word, word))
			return true;
	return false;
}

/* LINE's accesses; no more than a script would ever have. */
static bool script_add_accesses(struct script *script, struct script_line *line)
{
	const uint64_t *args = line->args;

	if (script_is_access(line->word)) {
		bool has_value = line->word[0] == 'w' && line->word[1];

		script_add_access(script, line->word, args[0], has_value ? args[1] : STORED_HLT);
	} else if (!strcmp(line->word, "range")) {
		if (args[0] > 2 || args[2] > 4096)
			return false;
		for (uint64_t i = 0; i < args[2]; i++)
			script_add_access(script, script_ranges[args[0]], args[1] + i * args[3],
					  STORED_HLT);
	}
	line->accesses_end = script->access_count;
	return true;
}

/* A slot line's address comes from the reply to it. */
static bool script_take_hva(struct script_build *build, struct script_line *line)
{
	const struct reply *reply = &build->recording->replies[build->next_reply];

	if (build->next_reply == build->recording->reply_count || reply->kind != REPLY_SLOT ||
	    reply->id != line->args[0])
		return script_complain(build->recording, "a slot line without its reply");
	line->hva = reply->hva;
	return true;
}

static bool script_take_mark(struct script_build *build, const char *text)
{
	struct script_line *line = script_add_line(build->script, text);
	bool is_slot = !strcmp(line->word, "slot") || !strcmp(line->word, "del");

	if (is_slot && !script_take_hva(build, line))
		return false;
	if (!script_add_accesses(build->script, line))
		return script_complain(build->recording, text);
	build->next_reply += recording_has_reply(text);
	build->next_access = line->accesses_start;
	build->pending_start = build->script->invalidation_count;
	return true;
}

static void script_take_invalidation(struct script_build *build,
				     const struct vmmu_trace_event *event)
{
	struct script *script = build->script;
	struct script_line *line = &script->lines[script->line_count - 1];

	script->invalidations = script_grow(script->invalidations, script->invalidation_count,
					    sizeof(*script->invalidations));
	script->invalidations[script->invalidation_count++] =
		(struct vmmu_hva_range){event->hva.start, event->hva.end};
	line->invalidations_start = build->pending_start;
	line->invalidations_end = script->invalidation_count;
}

/* Each access is followed by what is behind it: the invalidations before that were made for it. */
static bool script_take_page(struct script_build *build, const struct vmmu_trace_host *page)
{
	struct script *script = build->script;
	struct script_line *line = &script->lines[script->line_count - 1];

	for (size_t i = build->next_access; i < line->accesses_end; i++) {
		struct script_access *access = &script->accesses[i];

		if (access->address >> 12 != page->gpa >> 12)
			continue;
		access->page = *page;
		access->has_page = true;
		access->invalidations_start = build->pending_start;
		access->invalidations_end = script->invalidation_count;
		build->pending_start = script->invalidation_count;
		build->next_access = i + 1;
		line->invalidations_start = line->invalidations_end = build->pending_start;
		return true;
	}
	return script_complain(build->recording, "a host page that was not accessed");
}

static bool script_take_event(struct script_build *build, const struct vmmu_trace_event *event)
{
	if (recording_is_mark(event))
		return script_take_mark(build, event->text);
	if (event->kind == VMMU_TRACE_INVALIDATE)
		script_take_invalidation(build, event);
	if (event->kind == VMMU_TRACE_HOST_PAGE)
		return script_take_page(build, &event->host);
	return true;
}

bool script_build(struct script *script, const struct recording *recording)
{
	struct script_build build = {.script = script, .recording = recording};
	bool is_good;

	*script = (struct script){0};
	is_good = script_take_mark(&build, "slot 0 0 100000 0");
	for (size_t i = 0; is_good && i < recording->event_count; i++)
		is_good = script_take_event(&build, &recording->events[i]);
	if (is_good && build.next_reply != recording->reply_count)
		is_good = script_complain(recording, "replies to no line");
	if (!is_good)
		script_free(script);
	return is_good;
}

void script_free(struct script *script)
{
	free(script->lines);
	free(script->accesses);
	free(script->invalidations);
	*script = (struct script){0};
}

/* SPDX-License-Identifier: MIT */
#include "kvm-live/script.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The guest's code: a piece for each kind of access, each ending in hlt. */
#define CODE_READ  UINT64_C(0x1000)
#define CODE_WRITE UINT64_C(0x1010)
#define CODE_WIDE  UINT64_C(0x1020)

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

static void script_add_access(struct script *script, uint64_t gpa, unsigned access, uint64_t pc)
{
	script->accesses = script_grow(script->accesses, script->access_count,
				       sizeof(*script->accesses));
	script->accesses[script->access_count++] = (struct script_access){
		.gpa = gpa, .access = access, .pc = access == VMMU_EXEC ? gpa : pc};
}

/* LINE's accesses; no more than a script would ever have. */
static bool script_add_accesses(struct script *script, struct script_line *line)
{
	static const uint64_t codes[] = {CODE_READ, CODE_WRITE, CODE_WIDE};

	if (!strcmp(line->word, "r")) {
		script_add_access(script, line->args[0], VMMU_READ, CODE_READ);
	} else if (!strcmp(line->word, "w")) {
		script_add_access(script, line->args[0], VMMU_WRITE, CODE_WRITE);
	} else if (!strcmp(line->word, "x")) {
		script_add_access(script, line->args[0], VMMU_EXEC, 0);
	} else if (!strcmp(line->word, "range")) {
		if (line->args[0] > 2 || line->args[2] > 4096)
			return false;
		for (uint64_t i = 0; i < line->args[2]; i++)
			script_add_access(script, line->args[1] + i * line->args[3],
					  line->args[0] ? VMMU_WRITE : VMMU_READ,
					  codes[line->args[0]]);
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

static bool script_has_reply(const struct script_line *line)
{
	static const char *const silent[] = {"range", "dontneed", "protect",
					     "poke",  "fill",     "mode"};

	for (size_t i = 0; i < sizeof(silent) / sizeof(*silent); i++)
		if (!strcmp(line->word, silent[i]))
			return false;
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
	build->next_reply += script_has_reply(line);
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

		if (access->gpa >> 12 != page->gpa >> 12)
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

/* SPDX-License-Identifier: MIT */
#include "kvm-live/recording.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDING_PATH VMMU_TEST_DATA "/traces/kvm-live/x86-6.1/direct/%s.%s"

static bool recording_complain(const char *path, const char *what)
{
	fprintf(stderr, "%s: %s\n", path, what);
	return false;
}

static void *recording_grow(void *list, size_t count, size_t bytes)
{
	if (count & (count - 1))
		return list;
	list = realloc(list, (count ? 2 * count : 1) * bytes);
	if (!list)
		abort();
	return list;
}

static void recording_add_event(struct recording *recording, const struct vmmu_trace_event *event)
{
	size_t count = recording->event_count++;

	recording->events = recording_grow(recording->events, count, sizeof(*recording->events));
	recording->texts = recording_grow(recording->texts, count, sizeof(*recording->texts));
	recording->texts[count] = strdup(event->text);
	if (!recording->texts[count])
		abort();
	recording->events[count] = *event;
	recording->events[count].name = NULL;
	recording->events[count].text = recording->texts[count];
}

/* Everything that the reader met was understood. */
static bool recording_is_whole(const struct vmmu_trace *trace, const char *path)
{
	struct vmmu_trace_count count;

	for (unsigned i = 0; vmmu_trace_count_at(trace, i, &count); i++)
		if (!count.understood)
			return recording_complain(path, count.name);
	return true;
}

static bool recording_read_trace(struct recording *recording)
{
	struct vmmu_trace_event event;
	struct vmmu_trace *trace;
	char path[512], error[512];
	int result;
	bool is_good;

	snprintf(path, sizeof(path), RECORDING_PATH, recording->name, "tracefs.txt.gz");
	if (vmmu_trace_open(path, NULL, &trace, error, sizeof(error)))
		return recording_complain(path, error);
	while ((result = vmmu_trace_next(trace, &event)) > 0)
		recording_add_event(recording, &event);
	is_good = result ? recording_complain(path, vmmu_trace_error(trace))
			 : recording_is_whole(trace, path);
	vmmu_trace_close(trace);
	return is_good;
}

/* False: no such line. "done" at the end is one, but no reply. */
static bool recording_read_reply(struct recording *recording, const char *line)
{
	struct reply reply = {0};
	char op[16];
	int ret, end = 0;

	if (sscanf(line,
		   "kvm_set_user_memory Slot#%u flags=%*x gpa=%*x size=%*x ua=%" SCNx64
		   " ret=%" SCNd64 "\n%n",
		   &reply.id, &reply.hva, &reply.result, &end) == 3 &&
	    end) {
		reply.kind = REPLY_SLOT;
	} else if (sscanf(line, "dirty slot %u count %" SCNd64 " ret %d\n%n", &reply.id,
			  &reply.result, &ret, &end) == 3 &&
		   end) {
		reply.kind = REPLY_DIRTY;
		if (ret)
			reply.result = -1;
	} else if (sscanf(line, "%15s %" SCNx64 " -> %" SCNd64 "\n%n", op, &reply.address,
			  &reply.result, &end) == 3 &&
		   end) {
		reply.kind = REPLY_ACCESS;
	} else {
		return !strcmp(line, "done\n");
	}
	recording->replies = recording_grow(recording->replies, recording->reply_count,
					    sizeof(*recording->replies));
	recording->replies[recording->reply_count++] = reply;
	return true;
}

static bool recording_read_replies(struct recording *recording)
{
	char path[512], line[512];
	bool is_good = true;
	FILE *file;

	snprintf(path, sizeof(path), RECORDING_PATH, recording->name, "slots.txt");
	file = fopen(path, "r");
	if (!file)
		return recording_complain(path, "cannot be read");
	while (is_good && fgets(line, sizeof(line), file))
		is_good = recording_read_reply(recording, line) || recording_complain(path, line);
	fclose(file);
	return is_good;
}

bool recording_load(struct recording *recording, const char *name)
{
	*recording = (struct recording){.name = name};
	if (recording_read_trace(recording) && recording_read_replies(recording))
		return true;
	recording_free(recording);
	return false;
}

static void *recording_copy_list(const void *list, size_t bytes)
{
	void *copy = malloc(bytes);

	if (!copy)
		abort();
	return memcpy(copy, list, bytes);
}

void recording_copy(struct recording *copy, const struct recording *original)
{
	*copy = *original;
	copy->texts = NULL;
	copy->events = recording_copy_list(original->events,
					   original->event_count * sizeof(*original->events));
	copy->replies = recording_copy_list(original->replies,
					    original->reply_count * sizeof(*original->replies));
}

void recording_free(struct recording *recording)
{
	for (size_t i = 0; recording->texts && i < recording->event_count; i++)
		free(recording->texts[i]);
	free(recording->texts);
	free(recording->events);
	free(recording->replies);
	*recording = (struct recording){0};
}

bool recording_is_mark(const struct vmmu_trace_event *event)
{
	switch (event->kind) {
	case VMMU_TRACE_SLOT:
	case VMMU_TRACE_DIRTY_GET:
	case VMMU_TRACE_DROP:
	case VMMU_TRACE_PROTECT:
	case VMMU_TRACE_ACCESS:
	case VMMU_TRACE_SCRIPT:
		return true;
	default:
		return false;
	}
}

bool recording_has_reply(const char *text)
{
	static const char *const silent[] = {"range ", "dontneed ", "protect ",
					     "poke ",  "fill ",     "mode "};

	for (size_t i = 0; i < sizeof(silent) / sizeof(*silent); i++)
		if (!strncmp(text, silent[i], strlen(silent[i])))
			return false;
	return true;
}

void recording_drop(struct recording *recording, size_t index)
{
	size_t after = --recording->event_count - index;

	memmove(&recording->events[index], &recording->events[index + 1],
		after * sizeof(*recording->events));
}

// SPDX-License-Identifier: MIT
#include "oracle/jobs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOBS_PAGE_WORDS 512 /* how much is compared at once */
#define JOBS_RUN_WORDS  3   /* of a JOB_WRITE */
/* Left free for one scene more. */
#define JOBS_SCENE_BYTES UINT64_C(0x300000)

int jobs_init(struct jobs *jobs, const struct oracle_emulator *emulator)
{
	*jobs = (struct jobs){.emulator = emulator};
	return memory_init(&jobs->memory, emulator);
}

void jobs_clear(struct jobs *jobs)
{
	memory_clear(&jobs->memory);
	free(jobs->image.word);
	free(jobs->records.word);
	free(jobs->expectation);
	*jobs = (struct jobs){0};
}

bool jobs_has_room(const struct jobs *jobs)
{
	uint64_t bytes = (jobs->image.count + jobs->records.count) * 8 + JOBS_SCENE_BYTES;

	return bytes < jobs->emulator->layout.job_bytes &&
	       jobs->expectation_count * sizeof(struct job_result) + JOBS_SCENE_BYTES <
		       jobs->emulator->layout.result_bytes;
}

static void words_add(struct jobs *jobs, struct job_words *words, const uint64_t *word,
		      size_t count)
{
	size_t capacity = words->capacity ? words->capacity : 4096;
	uint64_t *grown;

	while (capacity < words->count + count)
		capacity *= 2;
	if (capacity != words->capacity) {
		grown = realloc(words->word, capacity * sizeof(*grown));
		if (!grown) {
			jobs->has_failed = true;
			return;
		}
		words->word = grown;
		words->capacity = capacity;
	}
	memcpy(&words->word[words->count], word, count * sizeof(*word));
	words->count += count;
}

void jobs_record(struct jobs *jobs, uint64_t op, const uint64_t arg[4])
{
	words_add(jobs, &jobs->records, &op, 1);
	words_add(jobs, &jobs->records, arg, 4);
}

void jobs_flush(struct jobs *jobs)
{
	static const uint64_t none[4];

	if (!jobs->drops_flushes)
		jobs_record(jobs, JOB_FLUSH, none);
}

/* A planted mistake: the emulator gets another page than the model sees. */
static uint64_t jobs_skewed(struct jobs *jobs, uint64_t value)
{
	if (!jobs->skews || ++jobs->sent_count % jobs->skews || !value)
		return value;
	return value ^ UINT64_C(1) << 14;
}

/* Words [at, at + count) of the tables: into the image before the first record, else written. */
static void jobs_send(struct jobs *jobs, uint64_t at, unsigned count)
{
	struct memory *memory = &jobs->memory;
	uint64_t hpa = jobs->emulator->layout.tables_hpa + at * 8;
	uint64_t arg[4] = {hpa}, run[2] = {hpa, count};
	unsigned i;

	for (i = 0; i < count; i++) {
		arg[1 + i] = jobs_skewed(jobs, memory->tables[at + i]);
		memory->sent[at + i] = memory->tables[at + i];
	}
	if (jobs->records.count) {
		jobs_record(jobs, JOB_WRITE | count << 8, arg);
		return;
	}
	words_add(jobs, &jobs->image, run, 2);
	words_add(jobs, &jobs->image, &arg[1], count);
}

static void jobs_sync_page(struct jobs *jobs, uint64_t at, uint64_t end)
{
	const struct memory *memory = &jobs->memory;
	unsigned count;

	while (at < end) {
		for (count = 0; count < JOBS_RUN_WORDS && at + count < end; count++) {
			if (memory->tables[at + count] == memory->sent[at + count])
				break;
		}
		if (count)
			jobs_send(jobs, at, count);
		at += count ? count : 1;
	}
}

void jobs_sync(struct jobs *jobs)
{
	const struct memory *memory = &jobs->memory;
	uint64_t at, end = memory->tables_bytes / 8;

	for (at = 0; at < end; at += JOBS_PAGE_WORDS) {
		if (memcmp(&memory->tables[at], &memory->sent[at], JOBS_PAGE_WORDS * 8) != 0)
			jobs_sync_page(jobs, at, at + JOBS_PAGE_WORDS);
	}
}

void jobs_poke(struct jobs *jobs, uint64_t *word, uint64_t value)
{
	*word = value;
	jobs_send(jobs, (uint64_t)(word - jobs->memory.tables), 1);
}

void jobs_expect(struct jobs *jobs, uint64_t op, const uint64_t arg[4],
		 const struct oracle_expectation *expectation)
{
	size_t capacity = jobs->expectation_capacity;
	struct oracle_expectation *grown;

	if (jobs->expectation_count == capacity) {
		capacity = capacity ? 2 * capacity : 4096;
		grown = realloc(jobs->expectation, capacity * sizeof(*grown));
		if (!grown) {
			jobs->has_failed = true;
			return;
		}
		jobs->expectation = grown;
		jobs->expectation_capacity = capacity;
	}
	jobs->expectation[jobs->expectation_count++] = *expectation;
	jobs->probe_count += !expectation->is_read;
	jobs_record(jobs, op, arg);
}

static bool jobs_put(FILE *file, const void *data, size_t bytes)
{
	return !bytes || fwrite(data, bytes, 1, file) == 1;
}

int64_t jobs_write(const struct jobs *jobs, const char *path)
{
	const struct oracle_layout *layout = &jobs->emulator->layout;
	struct job_header header = {
		.magic = JOB_MAGIC,
		.image_words = jobs->image.count,
		.record_count = jobs->records.count / (sizeof(struct job_record) / 8),
		.result_hpa = layout->result_hpa,
		.window_hpa = layout->window_hpa,
		.guest_leaf = layout->window_hpa +
			      jobs->emulator->guest_leaf_table * jobs->memory.window_stride + 8,
		.tag_hpa = layout->tag_hpa,
		.tag_bytes = layout->tag_bytes,
		.mode = jobs->mode,
	};
	FILE *file = fopen(path, "wb");
	bool is_written;

	if (!file)
		return -errno;
	is_written = jobs_put(file, &header, sizeof(header)) &&
		     jobs_put(file, jobs->image.word, jobs->image.count * 8) &&
		     jobs_put(file, jobs->records.word, jobs->records.count * 8);
	if (fclose(file) || !is_written)
		return -EIO;
	return (int64_t)(sizeof(header) + (jobs->image.count + jobs->records.count) * 8);
}

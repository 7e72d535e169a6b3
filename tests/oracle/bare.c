// SPDX-License-Identifier: MIT
/* The bare-metal half of every oracle: does what the job says. */
#include <stddef.h>

#include "bare.h"

/* The compiler may call these; there is no C library. */
void *memset(void *to, int value, size_t bytes);
void *memcpy(void *to, const void *from, size_t bytes);

void *memset(void *to, int value, size_t bytes)
{
	volatile char *p = to;

	while (bytes--)
		*p++ = (char)value;
	return to;
}

void *memcpy(void *to, const void *from, size_t bytes)
{
	volatile char *p = to;
	const char *q = from;

	while (bytes--)
		*p++ = *q++;
	return to;
}

static const uint64_t *bare_image(const struct job_header *job)
{
	const uint64_t *word = (const uint64_t *)(job + 1), *end = word + job->image_words;
	volatile uint64_t *to;
	uint64_t count;

	while (word < end) {
		to = (volatile uint64_t *)*word++;
		for (count = *word++; count; count--)
			*to++ = *word++;
	}
	return end;
}

static void bare_tags(const struct job_header *job)
{
	uint64_t hpa, end = job->tag_hpa + job->tag_bytes;

	for (hpa = job->tag_hpa; hpa < end; hpa += 8)
		*(volatile uint64_t *)hpa = machine_tag(hpa);
}

static void bare_write(const struct job_record *record)
{
	volatile uint64_t *to = (volatile uint64_t *)record->arg[0];
	uint64_t i;

	for (i = 0; i < record->op >> 8; i++)
		to[i] = record->arg[1 + i];
}

static void bare_probe(const struct job_header *job, const struct job_record *record,
		       struct job_result *result)
{
	volatile uint64_t *check = (volatile uint64_t *)record->arg[2];
	volatile uint64_t *leaf = (volatile uint64_t *)job->guest_leaf;

	if (record->arg[3] && *leaf != record->arg[3]) {
		*leaf = record->arg[3];
		machine_flush();
	}
	machine_probe(record, result);
	result->after = 0;
	if (!check)
		return;
	result->after = *check;
	*check = machine_tag(record->arg[2]);
}

static void bare_read(const struct job_record *record, struct job_result *result)
{
	*result = (struct job_result){.value = *(volatile uint64_t *)record->arg[0]};
}

/* Do RECORD; the place of the next result. */
static struct job_result *bare_record(const struct job_header *job, const struct job_record *record,
				      struct job_result *result)
{
	switch (record->op & 0xff) {
	case JOB_ROOT:
		machine_root(record->arg);
		machine_flush();
		break;
	case JOB_PROBE:
		bare_probe(job, record, result);
		return result + 1;
	case JOB_WRITE:
		bare_write(record);
		break;
	case JOB_READ:
		bare_read(record, result);
		return result + 1;
	default:
		machine_flush();
	}
	return result;
}

void bare_main(void)
{
	const struct job_header *job = machine_job();
	const struct job_record *record;
	struct job_result *result;
	uint64_t i;

	result = (struct job_result *)job->result_hpa;
	if (job->magic == JOB_MAGIC) {
		record = (const struct job_record *)bare_image(job);
		bare_tags(job);
		machine_start(job);
		for (i = 0; i < job->record_count; i++)
			result = bare_record(job, &record[i], result);
	}
	machine_finish((void *)job->result_hpa, (uint64_t)result - job->result_hpa);
}

/* SPDX-License-Identifier: MIT */
/* A job while it is made: image, records, and what each result must be. */
#ifndef TESTS_ORACLE_JOBS_H
#define TESTS_ORACLE_JOBS_H

#include "oracle/memory.h"

/* A growing array of words. */
struct job_words {
	uint64_t *word;
	size_t count, capacity;
};

struct jobs {
	struct memory memory;
	const struct oracle_emulator *emulator;
	struct job_words image, records;
	struct oracle_expectation *expectation;
	size_t expectation_count, expectation_capacity;
	uint64_t probe_count;
	uint64_t mode;
	bool has_failed;    /* out of memory: the job is not to be run */
	bool drops_flushes; /* planted mistake: flushes are not passed on */
	unsigned skews;     /* planted mistake: every so many words sent are wrong; 0: none */
	uint64_t sent_count;
};

/* 0 or -ENOMEM. */
int jobs_init(struct jobs *jobs, const struct oracle_emulator *emulator);
void jobs_clear(struct jobs *jobs);
/* Is there room in the emulator's memory for another scene? */
bool jobs_has_room(const struct jobs *jobs);
/* A record without a result. */
void jobs_record(struct jobs *jobs, uint64_t op, const uint64_t arg[4]);
void jobs_flush(struct jobs *jobs);
/* Send every word of the tables that the emulator does not have yet. */
void jobs_sync(struct jobs *jobs);
/* Write one word, and the emulator's. WORD is one of the tables'. */
void jobs_poke(struct jobs *jobs, uint64_t *word, uint64_t value);
/* A record with a result. *EXPECTATION is copied. */
void jobs_expect(struct jobs *jobs, uint64_t op, const uint64_t arg[4],
		 const struct oracle_expectation *expectation);
/* Write the job into the file at PATH. Its bytes, or -errno. */
int64_t jobs_write(const struct jobs *jobs, const char *path);

#endif

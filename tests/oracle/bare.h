/* SPDX-License-Identifier: MIT */
/*
 * A bare-metal program is bare.c, which reads the job, and one machine, which knows the CPU.
 * One CPU, no interrupts, no allocation.
 */
#ifndef TESTS_ORACLE_BARE_H
#define TESTS_ORACLE_BARE_H

#include "job.h"

/* Where start.S calls. Does not return. */
void bare_main(void);

/* The job, brought into memory. */
const struct job_header *machine_job(void);
/* Once, before the first record; the window's page is zeroed memory. */
void machine_start(const struct job_header *job);
void machine_root(const uint64_t arg[4]);
/* RECORD's access; fills all of RESULT but after. */
void machine_probe(const struct job_record *record, struct job_result *result);
/* Forget all translations. */
void machine_flush(void);
uint64_t machine_tag(uint64_t hpa);
/* Write BYTES of results out and power off. */
_Noreturn void machine_finish(const void *results, uint64_t bytes);

#endif

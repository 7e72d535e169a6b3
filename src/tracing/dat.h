/* SPDX-License-Identifier: MIT */
/*
 * trace.dat files, as the text that vmmu-trace-dat makes of them.
 *
 * The library that reads them, libtracecmd, trusts its input; so it runs in a process of its own,
 * which dat_create() starts (dat_reader.c). What comes out is read like any other text.
 */
#ifndef VMMU_TRACING_DAT_H
#define VMMU_TRACING_DAT_H

#include "tracing/source.h"

struct dat;

/* Do the first COUNT bytes begin a trace.dat file? */
bool dat_is_dat(const void *bytes, size_t count);
/*
 * Start the program on the file SOURCE from its first byte; what cannot seek is copied to its spool
 * first. *DAT, which is the caller's also with an error, or NULL:
 * -ENOPKG: there is no such program, see dat_error(); -ENOMEM; errors of source_file() and of the
 * system.
 */
int dat_create(struct source *source, struct dat **dat);
/*
 * Up to BYTES bytes of text into BUFFER: how many; 0 at the end; -EBADMSG: the file is damaged, see
 * dat_error(), which comes after the text that could be read; -errno of read().
 */
ssize_t dat_read(struct dat *dat, void *buffer, size_t bytes);
/* What the last error was, "" for those that strerror() knows. */
const char *dat_error(const struct dat *dat);
/* How much was read of how much, in any unit; total 0: not known. */
void dat_progress(const struct dat *dat, uint64_t *done, uint64_t *total);
/* End the program, whatever it does. NULL is allowed. */
void dat_destroy(struct dat *dat);

#endif

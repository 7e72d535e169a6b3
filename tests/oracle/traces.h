/* SPDX-License-Identifier: MIT */
/* Scenes out of recorded traces: every recorded fault is an access of the guest's. */
#ifndef TESTS_ORACLE_TRACES_H
#define TESTS_ORACLE_TRACES_H

#include "oracle/scene.h"

/* Add the recordings in DIRECTORY to JOBS. 0 or -errno. */
int traces_fill(struct jobs *jobs, const struct vmmu_format *format, const char *directory,
		struct scene_tally *tally);

#endif

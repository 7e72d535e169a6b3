// SPDX-License-Identifier: MIT
#include "oracle/traces.h"

#include <errno.h>

int traces_fill(struct jobs *jobs, const struct vmmu_format *format, const char *directory,
		struct scene_tally *tally)
{
	(void)jobs;
	(void)format;
	(void)directory;
	(void)tally;
	return -ENOSYS;
}

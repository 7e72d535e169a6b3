/* SPDX-License-Identifier: MIT */
/* A library that was built without libzstd: it says what is missing, for traces and layouts. */
#include <errno.h>

#include "tracing/help.h"

#define LINE "q-1 [000] ..... 1.0: kvm_fpu: load\n"
#define WHY                                                                                       \
	"compressed with zstd, and this program was built without libzstd (package libzstd-dev):" \
	" unpack it first"

Test(zstd_absent, trace__is_refused_with_the_package_that_is_missing)
{
	char error[256];

	cr_expect_eq(help_open_bad("\x28\xb5\x2f\xfd xyz", 8, error, sizeof(error)), -ENOPKG);
	cr_expect_str_eq(error, ":1: " WHY);
	cr_expect_eq(help_open_bad("\x5f\x2a\x4d\x18 xyz", 8, error, sizeof(error)), -ENOPKG);
	cr_expect_str_eq(error, ":1: " WHY);
}

Test(zstd_absent, layout__is_refused_with_the_package_that_is_missing)
{
	struct vmmu_trace_options options = {.size = sizeof(options)};
	char path[HELP_PATH_BYTES], line[HELP_PATH_BYTES], error[256];
	struct vmmu_trace *trace;

	help_file(line, LINE, strlen(LINE));
	help_file(path, "\x28\xb5\x2f\xfd xyz", 8);
	options.layout = path;
	cr_expect_eq(vmmu_trace_open(line, &options, &trace, error, sizeof(error)), -ENOPKG);
	cr_expect(strstr(error, WHY), "%s", error);
	unlink(path);
	unlink(line);
}

Test(zstd_absent, other_text__is_read)
{
	struct vmmu_trace *trace = help_open(LINE LINE);
	int result;

	cr_expect_eq(help_count_events(trace, &result), 2);
	cr_expect_eq(result, 0);
	vmmu_trace_close(trace);
}

/* SPDX-License-Identifier: MIT */
/* vmmu/compare.h: `compare TRACE LAYOUT`: does the engine write what that kernel wrote? */
#include <stdio.h>
#include <vmmu/compare.h>
#include <vmmu/replay.h>

int main(int argc, char **argv)
{
	struct vmmu_compare_options how = {.size = sizeof(how)};
	struct vmmu_trace_options input = {.size = sizeof(input)};
	struct vmmu_replay_options options = {.size = sizeof(options), .root = VMMU_ROOT_TDP};
	struct vmmu_compare_tally tally;
	struct vmmu_replay_report report;
	struct vmmu_trace *trace;
	char error[256];
	int err;

	if (argc != 3)
		return 2;
	input.layout = argv[2];
	if (vmmu_trace_open(argv[1], &input, &trace, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	err = vmmu_compare_create(&how, &options.compare);
	if (!err)
		err = vmmu_replay(trace, &options, &report);
	vmmu_trace_close(trace);
	if (err) {
		vmmu_compare_destroy(options.compare);
		return 1;
	}
	vmmu_compare_tally(options.compare, VMMU_COMPARE_MAP_SET, &tally);
	printf("%s: %llu of %llu leaves equal\n",
	       vmmu_profile_info(vmmu_compare_profile(options.compare))->name,
	       (unsigned long long)tally.agree, (unsigned long long)tally.total);
	vmmu_compare_destroy(options.compare);
}

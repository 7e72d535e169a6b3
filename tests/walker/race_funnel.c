/* SPDX-License-Identifier: MIT */
#include "walker/race_funnel.h"

int main(void)
{
	int failed = race_ept4();

	failed |= race_sv39x4();
	failed |= race_arm_s2_4k();
	return failed;
}

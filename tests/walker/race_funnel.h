/* SPDX-License-Identifier: MIT */
/* One race for each format, from race_body.h. */
#ifndef TESTS_WALKER_RACE_FUNNEL_H
#define TESTS_WALKER_RACE_FUNNEL_H

#define RACE_FORMATS 3

/* 0: no bit was lost, and hardware had something to do. */
int race_ept4(void);
int race_sv39x4(void);
int race_arm_s2_4k(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The formats that the library has, as objects: constant, valid for the life of the process. And
 * those from outside, which come and go.
 */
#ifndef VMMU_FORMAT_REGISTRY_H
#define VMMU_FORMAT_REGISTRY_H

#include "format/contract.h"

extern const struct vmmu_format format_ept4;
extern const struct vmmu_format format_ept5;
extern const struct vmmu_format format_npt4;
extern const struct vmmu_format format_npt5;
extern const struct vmmu_format format_sv39x4;
extern const struct vmmu_format format_sv48x4;
extern const struct vmmu_format format_sv57x4;
extern const struct vmmu_format format_arm_s2_4k;
extern const struct vmmu_format format_arm_s2_4k_40;
extern const struct vmmu_format format_arm_s2_4k_43;
extern const struct vmmu_format format_arm_s2_64k;
extern const struct vmmu_format format_arm_s2_16k;
extern const struct vmmu_format format_arm_s2_4k_lpa2;
extern const struct vmmu_format format_arm_s2_16k_lpa2;
extern const struct vmmu_format format_arm_s2_64k_lpa;
extern const struct vmmu_format format_ept4_noad;
extern const struct vmmu_format format_ept4_mbe;
extern const struct vmmu_format format_ept4_ve;
extern const struct vmmu_format format_arm_s2_4k_cont;
extern const struct vmmu_format format_arm_s2_16k_cont;
extern const struct vmmu_format format_arm_s2_64k_cont;
extern const struct vmmu_format format_sv39x4_napot;
extern const struct vmmu_format format_sv48x4_napot;
extern const struct vmmu_format format_sv57x4_napot;
extern const struct vmmu_format format_sv48x4_adu;

/*
 * A VM begins and ends to use FORMAT: until then it cannot be unregistered. Nothing to do for
 * constant formats. Any thread.
 */
void registry_pin(const struct vmmu_format *format);
void registry_unpin(const struct vmmu_format *format);

#endif

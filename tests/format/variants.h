/* SPDX-License-Identifier: MIT */
/*
 * The format families under other parameters than the library's own instances: CPUs with a smaller
 * physical address, without 1G pages, with execute-only; more Arm geometries. Built from variant.c
 * by CMakeLists.txt.
 */
#ifndef VMMU_TESTS_FORMAT_VARIANTS_H
#define VMMU_TESTS_FORMAT_VARIANTS_H

#include "format/contract.h"

/* A variant, or a format of the library; NULL. */
const struct vmmu_format *variant_find(const char *name);
/* Variant number INDEX, or NULL past the last. */
const struct vmmu_format *variant_at(unsigned index);

#endif

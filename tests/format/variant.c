/* SPDX-License-Identifier: MIT */
/* One format of variants.h: the build defines the family header and its parameters. */
#define FMT_DESCRIPTION "test variant"
#include VARIANT_HEADER
#include "format/ops_impl.h"

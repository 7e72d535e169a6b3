/* SPDX-License-Identifier: MIT */
#include "format/current.h"

_Thread_local const struct vmmu_format *current_format CURRENT_TLS;

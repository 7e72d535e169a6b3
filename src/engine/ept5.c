/* SPDX-License-Identifier: MIT */
#include "format/ept5.h"
#define ENGINE_OBJECT engine_ept5
#include "engine/engine_impl.h"

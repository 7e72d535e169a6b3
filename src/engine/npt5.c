/* SPDX-License-Identifier: MIT */
#include "format/npt5.h"
#define ENGINE_OBJECT engine_npt5
#include "engine/engine_impl.h"

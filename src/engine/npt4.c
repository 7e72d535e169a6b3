/* SPDX-License-Identifier: MIT */
#include "format/npt4.h"
#define ENGINE_OBJECT engine_npt4
#include "engine/engine_impl.h"

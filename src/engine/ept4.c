/* SPDX-License-Identifier: MIT */
#include "format/ept4.h"
#define ENGINE_OBJECT engine_ept4
#include "engine/engine_impl.h"

/* SPDX-License-Identifier: MIT */
#include "format/sv57x4.h"
#define ENGINE_OBJECT engine_sv57x4
#include "engine/engine_impl.h"

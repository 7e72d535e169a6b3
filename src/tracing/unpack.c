/* SPDX-License-Identifier: MIT */
#include "tracing/unpack.h"

const struct unpack_ops *unpack_find(const void *bytes, size_t count)
{
	static const struct unpack_ops *const kinds[] = {&gunzip_ops, &unzstd_ops};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i]->can_begin_with(bytes, count))
			return kinds[i];
	return NULL;
}

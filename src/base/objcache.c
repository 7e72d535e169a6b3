/* SPDX-License-Identifier: MIT */
#include "base/objcache.h"

#include <errno.h>

#include "base/mem.h"

void objcache_init(struct objcache *cache, size_t object_bytes)
{
	*cache = (struct objcache){.object_bytes = object_bytes};
}

int objcache_fill(struct objcache *cache, unsigned min)
{
	/*
	 * Past MIN the cache fills up while it is at it: the next faults then find enough and do
	 * not come to the heap. A MIN above the capacity can never be had.
	 */
	while (cache->count < OBJCACHE_CAPACITY) {
		void *object = mem_alloc(cache->object_bytes);

		if (!object)
			break;
		cache->objects[cache->count++] = object;
	}
	return cache->count >= min ? 0 : -ENOMEM;
}

void *objcache_take(struct objcache *cache)
{
	return cache->count ? cache->objects[--cache->count] : NULL;
}

void objcache_destroy(struct objcache *cache)
{
	while (cache->count)
		mem_free(cache->objects[--cache->count]);
}

/* SPDX-License-Identifier: MIT */
/*
 * A stock of equal heap objects, filled where sleeping and failing are allowed and drawn from where
 * they are not. Owned by one vCPU (or one lock); not shared.
 */
#ifndef VMMU_BASE_OBJCACHE_H
#define VMMU_BASE_OBJCACHE_H

#include <stddef.h>

#include "base/bits.h"

#define OBJCACHE_CAPACITY 40

struct objcache {
	size_t object_bytes;
	unsigned count;
	void *objects[OBJCACHE_CAPACITY];
};

void objcache_init(struct objcache *cache, size_t object_bytes);
/* objcache_topup() where the cache holds too few. */
int objcache_fill(struct objcache *cache, unsigned min);
/*
 * Fill to at least MIN objects (then to capacity as far as memory goes). -ENOMEM if MIN cannot be
 * had. No-op above MIN.
 */
static inline int objcache_topup(struct objcache *cache, unsigned min)
{
	return likely(cache->count >= min) ? 0 : objcache_fill(cache, min);
}
/* Take one; NULL when empty. Contents are unspecified. */
void *objcache_take(struct objcache *cache);
void objcache_destroy(struct objcache *cache);

#endif

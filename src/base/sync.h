/* SPDX-License-Identifier: MIT */
/*
 * RCU and locks. sync.c is the only user of liburcu (memb flavour).
 *
 * Readers: sync_read_lock() ... sync_read_unlock(), nestable, no sleeping and no mutex inside.
 * Writers: unlink, then sync_wait_readers(), then free. There are no callbacks and no helper
 * threads: whoever unlinks also waits.
 *
 * fork() is fine but inside a reader: the child has no readers but itself.
 */
#ifndef VMMU_BASE_SYNC_H
#define VMMU_BASE_SYNC_H

#include <stdbool.h>

/* Something that is of the calling thread alone, for as long as it lives: tells threads apart. */
const void *sync_self(void);

/*
 * Per-thread registration; both idempotent. Outside readers only. A thread that ends registered is
 * unregistered by itself.
 */
void sync_thread_register(void);
void sync_thread_unregister(void);
bool sync_thread_is_registered(void);

/* Registers the calling thread if it forgot to: a reader that is not known is not waited for. */
void sync_read_lock(void);
void sync_read_unlock(void);
/* Is the calling thread inside a reader? Then it must not wait for any. */
bool sync_is_reading(void);
/*
 * Wait until all readers that are now inside have left. Never inside a reader. Registers the
 * calling thread if need be (then takes that back).
 */
void sync_wait_readers(void);

#endif

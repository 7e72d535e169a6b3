/* SPDX-License-Identifier: MIT */
/*
 * A log-linear histogram of 64-bit values: each power of two is cut into 16 equal buckets, so that
 * a quantile is at most 1/16 off at any size, in 8 KiB and without keeping the values.
 */
#ifndef VMMU_TRACING_HISTOGRAM_H
#define VMMU_TRACING_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_LG2 4
/* Values below 16 have a bucket each; above, 16 for each of the powers 2^4..2^63. */
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_SUB_LG2 + 1) << HISTOGRAM_SUB_LG2)

/* Zero-initialised: empty. */
struct histogram {
	uint64_t count;                      /* values added */
	uint64_t total;                      /* their sum, modulo 2^64 */
	uint64_t buckets[HISTOGRAM_BUCKETS]; /* values by size */
};

void histogram_add(struct histogram *histogram, uint64_t value);
/* Add what is in OTHER. */
void histogram_merge(struct histogram *histogram, const struct histogram *other);
/*
 * A value that at least PER_MILLE/1000 of the values do not exceed by more than their bucket's
 * width: the largest value of the bucket in which that quantile lies. 0 when empty. per_mille
 * 0..1000.
 */
uint64_t histogram_quantile(const struct histogram *histogram, unsigned per_mille);

#endif

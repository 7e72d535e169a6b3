/* SPDX-License-Identifier: MIT */
#include "tracing/histogram.h"

#define SUB_BUCKETS (1u << HISTOGRAM_SUB_LG2)

static unsigned bucket_of(uint64_t value)
{
	unsigned lg2;

	if (value < SUB_BUCKETS)
		return (unsigned)value;
	lg2 = 63 - (unsigned)__builtin_clzll(value);
	/*
	 * The HISTOGRAM_SUB_LG2 bits below the leading one choose among the buckets of this power.
	 */
	return ((lg2 - HISTOGRAM_SUB_LG2 + 1) << HISTOGRAM_SUB_LG2) +
	       (unsigned)((value >> (lg2 - HISTOGRAM_SUB_LG2)) & (SUB_BUCKETS - 1));
}

/* The largest value that falls into BUCKET. */
static uint64_t bucket_last(unsigned bucket)
{
	unsigned power = bucket >> HISTOGRAM_SUB_LG2;
	uint64_t sub = bucket & (SUB_BUCKETS - 1);

	if (!power)
		return sub;
	/* The topmost bucket wraps to 0 before the subtraction: UINT64_MAX, as it should. */
	return ((sub + SUB_BUCKETS + 1) << (power - 1)) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->buckets[bucket_of(value)]++;
	histogram->count++;
	histogram->total += value;
}

void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
	histogram->count += other->count;
	histogram->total += other->total;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		histogram->buckets[i] += other->buckets[i];
}

uint64_t histogram_quantile(const struct histogram *histogram, unsigned per_mille)
{
	uint64_t rank = histogram->count / 1000 * per_mille;
	uint64_t seen = 0;
	unsigned i;

	/* Split so that count * per_mille cannot overflow; rounded up to a rank of at least 1. */
	rank += (histogram->count % 1000 * per_mille + 999) / 1000;
	if (!histogram->count)
		return 0;
	if (!rank)
		rank = 1;
	for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen >= rank)
			return bucket_last(i);
	}
	return UINT64_MAX;
}

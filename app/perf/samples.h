/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Times measured one by one, and their exact percentiles.
 */

#ifndef PERF_SAMPLES_H
#define PERF_SAMPLES_H

#include <stdint.h>

/** Cycles, in the order in which they came until samples_sort(). */
struct samples {
	uint64_t *cycles;
	uint64_t count;
	uint64_t room;
};

/** @return 0 or -ENOMEM */
int samples_init(struct samples *samples, uint64_t room);

void samples_free(struct samples *samples);

/** One more; what finds no room is dropped. */
static inline void
samples_add(struct samples *samples, uint64_t cycles)
{
	if (samples->count < samples->room)
		samples->cycles[samples->count++] = cycles;
}

void samples_sort(struct samples *samples);

/**
 * The value that a share of all samples does not exceed.
 *
 * @param samples  sorted, at least one
 * @param share    0 (the smallest) to 1 (the largest)
 */
uint64_t samples_percentile(const struct samples *samples, double share);

double samples_mean(const struct samples *samples);

#endif /* PERF_SAMPLES_H */

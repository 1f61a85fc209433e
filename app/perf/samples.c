/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "samples.h"

int
samples_init(struct samples *samples, uint64_t room)
{
	memset(samples, 0, sizeof(*samples));
	samples->cycles = malloc(room * sizeof(*samples->cycles));
	if (samples->cycles == NULL)
		return -ENOMEM;
	samples->room = room;
	/* Touched now, or page faults would be part of what is measured. */
	memset(samples->cycles, 1, room * sizeof(*samples->cycles));
	return 0;
}

void
samples_free(struct samples *samples)
{
	free(samples->cycles);
	memset(samples, 0, sizeof(*samples));
}

static int
compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left;
	uint64_t b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

void
samples_sort(struct samples *samples)
{
	qsort(samples->cycles, samples->count, sizeof(*samples->cycles), compare);
}

uint64_t
samples_percentile(const struct samples *samples, double share)
{
	double rank = ceil(share * (double)samples->count);
	uint64_t index = rank < 1 ? 0 : (uint64_t)rank - 1;

	return samples->cycles[index < samples->count ? index : samples->count - 1];
}

double
samples_mean(const struct samples *samples)
{
	double sum = 0;

	for (uint64_t i = 0; i < samples->count; i++)
		sum += (double)samples->cycles[i];
	return sum / (double)samples->count;
}

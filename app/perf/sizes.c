/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sizes.h"

/* The simple Internet mix. */
static const char imix[] = "64:7,594:4,1518:1";

static int
complain(const char *text)
{
	fprintf(stderr,
			"dpdk-memif-perf: --size %s: wants a size from %d to %d, imix, or up to %d "
			"packets by weights, as %s\n",
			text, SIZE_SMALLEST, SIZE_LARGEST, SIZES_MAX, imix);
	return -EINVAL;
}

/* One SIZE or SIZE:WEIGHT; *text then points behind it. */
static bool
read_item(const char **text, unsigned long *size, unsigned long *weight)
{
	char *end;

	*weight = 1;
	*size = strtoul(*text, &end, 10);
	if (end == *text || *size < SIZE_SMALLEST || *size > SIZE_LARGEST)
		return false;
	if (*end == ':') {
		*text = end + 1;
		*weight = strtoul(*text, &end, 10);
		if (end == *text || *weight == 0 || *weight > SIZES_MAX)
			return false;
	}
	*text = end;
	return true;
}

/* Spread the sizes, so that a burst holds a mix: packet i goes to a place i * step further. */
static void
spread(struct sizes *sizes, const uint16_t *in_turn)
{
	uint32_t step = sizes->count / 2 + 1;
	uint32_t place = 0;
	bool taken[SIZES_MAX] = { false };

	for (uint32_t i = 0; i < sizes->count; i++) {
		while (taken[place])
			place = (place + 1) % sizes->count;
		taken[place] = true;
		sizes->length[place] = in_turn[i];
		place = (place + step) % sizes->count;
	}
}

int
sizes_parse(struct sizes *sizes, const char *text)
{
	const char *at = strcmp(text, "imix") == 0 ? imix : text;
	uint16_t in_turn[SIZES_MAX];
	unsigned long size, weight;

	memset(sizes, 0, sizeof(*sizes));
	do {
		if (!read_item(&at, &size, &weight) || sizes->count + weight > SIZES_MAX)
			return complain(text);
		while (weight-- != 0)
			in_turn[sizes->count++] = (uint16_t)size;
		if (size > sizes->largest)
			sizes->largest = (uint32_t)size;
	} while (*at++ == ',');
	if (at[-1] != '\0')
		return complain(text);
	spread(sizes, in_turn);
	for (uint32_t i = 0; i < sizes->count; i++)
		sizes->sum[i + 1] = sizes->sum[i] + sizes->length[i];
	return 0;
}

uint64_t
sizes_bytes(const struct sizes *sizes, uint64_t packets)
{
	return packets / sizes->count * sizes->sum[sizes->count] +
			sizes->sum[packets % sizes->count];
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tracker.h"

static int
grow(struct tracker *t, uint64_t seq)
{
	uint64_t size = t->seen_size ? t->seen_size : 4096;
	uint8_t *seen;

	while (size <= seq / 8)
		size *= 2;
	if (size == t->seen_size)
		return 0;
	seen = realloc(t->seen, size);
	if (!seen)
		return -ENOMEM;
	memset(seen + t->seen_size, 0, size - t->seen_size);
	t->seen = seen;
	t->seen_size = size;
	return 0;
}

int
tracker_note(struct tracker *t, uint64_t seq, uint32_t length, uint16_t rxq)
{
	uint8_t bit = 1u << (seq % 8);

	if (grow(t, seq) < 0)
		return -ENOMEM;
	if (t->seen[seq / 8] & bit) {
		t->dup++;
		return 0;
	}
	t->seen[seq / 8] |= bit;
	if (seq < t->next)
		t->reordered++;
	else
		t->next = seq + 1;
	t->received++;
	t->bytes += length;
	t->by_rxq[rxq]++;
	return 0;
}

uint64_t
tracker_lost(const struct tracker *t)
{
	return t->next - t->received;
}

void
tracker_free(struct tracker *t)
{
	free(t->seen);
	t->seen = NULL;
	t->seen_size = 0;
}

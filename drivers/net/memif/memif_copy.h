/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Copying packet bytes. Exactly the bytes asked for: the ones behind them may belong to somebody
 * else. The compiler makes the widest moves that the including file is built for.
 */

#ifndef MEMIF_COPY_H
#define MEMIF_COPY_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_common.h>

/* Two moves of a fixed size that cover everything from size to 2 * size bytes. */
static __rte_always_inline void
mif_copy_ends(uint8_t *to, const uint8_t *from, uint32_t length, const uint32_t size)
{
	__builtin_memcpy(to, from, size);
	__builtin_memcpy(to + length - size, from + length - size, size);
}

static __rte_always_inline void
mif_copy_small(uint8_t *to, const uint8_t *from, uint32_t length)
{
	if (length >= 32)
		mif_copy_ends(to, from, length, 32);
	else if (length >= 16)
		mif_copy_ends(to, from, length, 16);
	else if (length >= 8)
		mif_copy_ends(to, from, length, 8);
	else if (length >= 4)
		mif_copy_ends(to, from, length, 4);
	else if (length >= 2)
		mif_copy_ends(to, from, length, 2);
	else if (length == 1)
		*to = *from;
}

/**
 * Copy length bytes; the two places must not overlap.
 *
 * Source and target of peers are often in their first 64 bytes' cache line only, so whole lines
 * come first and the rest is covered by a last move that overlaps them.
 */
static __rte_always_inline void
mif_copy(uint8_t *to, const uint8_t *from, uint32_t length)
{
	uint32_t done;

	if (length < 64) {
		mif_copy_small(to, from, length);
		return;
	}
	for (done = 0; done + 64 <= length; done += 64)
		__builtin_memcpy(to + done, from + done, 64);
	if (done != length)
		__builtin_memcpy(to + length - 64, from + length - 64, 64);
}

/**
 * Have the first line of a packet on its way. To be written to, it is taken from the other core at
 * once (PREFETCHW): a line that was fetched for reading would have to be asked for twice, which is
 * slower than no prefetch.
 */
static __rte_always_inline void
mif_prefetch_first(const uint8_t *data, const bool write)
{
	if (write)
		__builtin_prefetch(data, 1);
	else
		__builtin_prefetch(data, 0);
}

/** The other lines of it. */
static __rte_always_inline void
mif_prefetch_rest(const uint8_t *data, uint32_t length, const bool write)
{
	for (uint32_t at = 64; at < length; at += 64)
		mif_prefetch_first(data + at, write);
}

/**
 * How many packets ahead of the copying mif_prefetch_rest() should be called for a burst: about two
 * kilobytes, as all of a burst of long packets would not fit into the first-level cache. 0 when the
 * first lines are all there is, or nearly.
 *
 * @param all  whether it pays for all lengths; else for long ones only
 */
static __rte_always_inline uint32_t
mif_prefetch_distance(uint64_t bytes, uint32_t count, bool all)
{
	if (bytes <= (uint64_t)count * 96)
		return 0;
	if (bytes > (uint64_t)count * 768)
		return 1;
	if (!all)
		return 0;
	return bytes <= (uint64_t)count * 256 ? 8 : 4;
}

#endif /* MEMIF_COPY_H */

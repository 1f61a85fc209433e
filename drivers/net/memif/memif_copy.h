/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Copying packet bytes. Exactly the bytes asked for: the ones behind them may belong to somebody
 * else. The compiler makes the widest moves that the including file is built for.
 */

#ifndef MEMIF_COPY_H
#define MEMIF_COPY_H

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

#endif /* MEMIF_COPY_H */

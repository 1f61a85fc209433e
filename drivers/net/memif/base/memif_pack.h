/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Where a client puts the packets that it copies: one behind the other, in the memory of their
 * ring, whatever their slots are. Lines and pages that follow each other cost less than buffers far
 * apart; the server is told the place anyway.
 *
 * Slots come back in order, and so does memory. A step is at most a stride, and a lap ends at the
 * first place beyond size strides, so it is longer than what a full ring takes: a packet never
 * reaches one that the server still has. One stride more is there for the last packet of a lap.
 *
 * Short packets may have shorter laps, each in an area of its own, with a step of its own instead of
 * the stride. A sender with one ring does not want that: its lines come back to it fastest when they
 * have left the caches of the CPU that has read them. With many rings, laps of all of them are more
 * than the caches that CPUs share can hold (measured: doc/performance).
 */

#ifndef MEMIF_PACK_H
#define MEMIF_PACK_H

#include <stdint.h>

#include "memif_abi.h"

#define MIF_PACK_AREAS 3      /**< for packets of any length, and two for short ones */
#define MIF_PACK_SHORTEST 128 /**< bytes of the longest packet in the last area */
#define MIF_PACK_SHORT 512    /**< and in the one before it */

/** An area of the memory of a ring. */
struct mif_pack {
	uint32_t at;	/**< bytes from the memory's start to where the next packet may begin */
	uint32_t first; /**< to where a lap begins */
	uint32_t last;	/**< and to where it ends */
};

/** The longest packet of an area; 0 if a ring with this stride does not have it. */
static inline uint32_t
mif_pack_longest(uint32_t stride, unsigned int area)
{
	const uint32_t longest = area == 1 ? MIF_PACK_SHORT : MIF_PACK_SHORTEST;

	if (area == 0)
		return stride;
	return longest < stride ? longest : 0;
}

/** The smallest area for packets up to so many bytes, at most a stride. */
static inline unsigned int
mif_pack_area(uint32_t stride, uint32_t length)
{
	unsigned int area = MIF_PACK_AREAS - 1;

	while (length > mif_pack_longest(stride, area))
		area--;
	return area;
}

/** Bytes that a ring needs. @param stride  whole lines, enough for the longest packet */
static inline uint64_t
mif_pack_bytes(uint32_t stride, uint8_t log2_ring_size)
{
	uint64_t bytes = 0;

	for (unsigned int area = 0; area < MIF_PACK_AREAS; area++) {
		const uint64_t step = mif_pack_longest(stride, area);

		bytes += (step << log2_ring_size) + step;
	}
	return bytes;
}

static inline void
mif_pack_init(struct mif_pack areas[MIF_PACK_AREAS], uint32_t stride, uint8_t log2_ring_size)
{
	uint32_t first = 0;

	for (unsigned int area = 0; area < MIF_PACK_AREAS; area++) {
		const uint32_t step = mif_pack_longest(stride, area);
		const uint32_t last = first + (step << log2_ring_size);

		areas[area] = (struct mif_pack){ .at = first, .first = first, .last = last };
		first = last + step;
	}
}

/** Where the next packet begins; there is room for the longest of its area. */
static inline uint32_t
mif_pack_place(const struct mif_pack *pack)
{
	return pack->at > pack->last ? pack->first : pack->at;
}

/** A packet of so many bytes, at most the longest of its area, is at this place. */
static inline void
mif_pack_put(struct mif_pack *pack, uint32_t place, uint32_t length)
{
	pack->at = place + ((length + MIF_LINE_SIZE - 1) & ~(MIF_LINE_SIZE - 1u));
}

#endif /* MEMIF_PACK_H */

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
 */

#ifndef MEMIF_PACK_H
#define MEMIF_PACK_H

#include <stdint.h>

#include "memif_abi.h"

/** The memory of a ring with so many slots. */
struct mif_pack {
	uint32_t at;   /**< bytes from its start to where the next packet may begin */
	uint32_t last; /**< and where a lap ends */
};

/** Bytes that a ring needs. @param stride  whole lines, enough for the longest packet */
static inline uint64_t
mif_pack_bytes(uint32_t stride, uint8_t log2_ring_size)
{
	return ((uint64_t)stride << log2_ring_size) + stride;
}

static inline struct mif_pack
mif_pack_init(uint32_t stride, uint8_t log2_ring_size)
{
	return (struct mif_pack){ .last = stride << log2_ring_size };
}

/** Where the next packet begins; there is room for a stride. */
static inline uint32_t
mif_pack_place(const struct mif_pack *pack)
{
	return pack->at > pack->last ? 0 : pack->at;
}

/** A packet of so many bytes, at most a stride, is at this place. */
static inline void
mif_pack_put(struct mif_pack *pack, uint32_t place, uint32_t length)
{
	pack->at = place + ((length + MIF_LINE_SIZE - 1) & ~(MIF_LINE_SIZE - 1u));
}

#endif /* MEMIF_PACK_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Descriptors that a peer wrote: read once, checked in 64 bits, and only the copy is used.
 */

#ifndef MEMIF_DESC_H
#define MEMIF_DESC_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "memif_abi.h"

/** A region as the data path sees it. */
struct mif_span {
	uint8_t *base; /**< first byte of the mapping */
	uint64_t size; /**< bytes of the mapping, 0 for none */
};

/** Half a descriptor: the unit in which it is read. */
typedef uint64_t __attribute__((may_alias)) mif_desc_word;

/**
 * Take a private copy of a descriptor.
 *
 * Each word is loaded exactly once; the peer may change the slot meanwhile, then the copy is a
 * mixture, which the checks treat like any other bad content.
 */
static inline struct mif_desc
mif_desc_read(const struct mif_desc *slot)
{
	const mif_desc_word *from = (const mif_desc_word *)slot;
	uint64_t word[2];
	struct mif_desc copy;

	word[0] = __atomic_load_n(&from[0], __ATOMIC_RELAXED);
	word[1] = __atomic_load_n(&from[1], __ATOMIC_RELAXED);
	memcpy(&copy, word, sizeof(copy));
	return copy;
}

/** Write a whole descriptor in its two halves, without reading what was there. */
static inline void
mif_desc_write(struct mif_desc *slot, struct mif_desc desc)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	mif_desc_word *to = (mif_desc_word *)slot;

	/* Said like this, as compilers write an assigned structure field by field. */
	to[0] = (uint64_t)desc.length << 32 | (uint64_t)desc.region << 16 | desc.flags;
	to[1] = (uint64_t)desc.metadata << 32 | desc.offset;
#else
	*slot = desc;
#endif
}

/**
 * Do length bytes at the descriptor's offset lie in its region?
 *
 * An empty descriptor is never right: implementations take what follows it for a new packet.
 *
 * @param regions  the connection's regions, at least one
 * @param count    number of regions
 */
static inline bool
mif_desc_ok(const struct mif_span *regions, uint32_t count, struct mif_desc desc)
{
	const struct mif_span *region = &regions[desc.region < count ? desc.region : 0];
	uint64_t end = (uint64_t)desc.offset + desc.length;

#ifdef MIF_TEST_WITHOUT_CHECKS
	return true;
#endif
	return (desc.region < count) & (end <= region->size) & (desc.length != 0);
}

/**
 * Is this a length that a peer may have filled into a buffer of our own?
 *
 * @param room  bytes that the buffer holds
 */
static inline bool
mif_desc_length_ok(uint32_t length, uint32_t room)
{
#ifdef MIF_TEST_WITHOUT_CHECKS
	return true;
#endif
	return (length != 0) & (length <= room);
}

/** First byte of a descriptor that mif_desc_ok() has accepted. */
static inline uint8_t *
mif_desc_data(const struct mif_span *regions, struct mif_desc desc)
{
	return regions[desc.region].base + desc.offset;
}

#endif /* MEMIF_DESC_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * What the offload flags of a packet ask for, and carrying it out in a copy of its headers: nothing
 * here writes to the packet itself, which others may hold too.
 */

#ifndef MEMIF_HEADERS_H
#define MEMIF_HEADERS_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_mbuf.h>

/** The longest headers that the length fields of an mbuf can name. */
#define MIF_HEADERS_MAX 1024

/** Room that a copy needs in front of it, for a VLAN tag. */
#define MIF_TAG_BYTES 4

/** Transmit flags that change bytes, or that are refused: the others are only hints. */
#define MIF_TX_FLAGS \
	(RTE_MBUF_F_TX_OFFLOAD_MASK & \
			~(RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_IEEE1588_TMST))

/** A place in the chain of a packet. */
struct mif_place {
	struct rte_mbuf *segment;
	uint32_t offset; /**< in that segment; its length when it is used up */
	uint16_t before; /**< segments in front of it */
};

/** What is to be done to a packet. */
struct mif_edit {
	uint32_t length;     /**< bytes of the packet */
	uint16_t copied;     /**< bytes at its front that are in the copy */
	uint16_t l3, l4;     /**< offsets of the IP and of the TCP or UDP header */
	uint32_t l4_bytes;   /**< from there to the end of the IP packet */
	uint8_t l4_protocol; /**< whose checksum is wanted; 0 for none */
	bool ipv4;
	bool ip_checksum;
	bool tag;	  /**< insert a VLAN tag */
	uint16_t tci;	  /**< the tag's value */
	uint16_t segment; /**< payload bytes of each packet to divide it into; 0 to leave it whole */
	struct mif_place rest; /**< where the bytes that are not copied begin */
};

/**
 * Copy the front of a packet, and find out by its flags and these headers what to do.
 *
 * @param head  MIF_HEADERS_MAX bytes
 * @return 0; -EINVAL when flags, lengths and headers do not fit together; -ENOTSUP for a flag whose
 *   offload the driver does not have
 */
int mif_edit_plan(struct mif_edit *edit, struct rte_mbuf *mbuf, uint8_t *head);

/** Copy up to so many bytes, and move the place behind them; returns how many there were. */
uint32_t mif_place_read(struct mif_place *place, uint8_t *to, uint32_t bytes);

/**
 * Make the headers of one of the packets that a packet is divided into.
 *
 * @param head  a copy of the whole packet's headers; changed
 * @param number  which one, from 0 on
 * @param payload  bytes of payload that it has
 * @param last  is it the last one?
 */
void mif_edit_segment(struct mif_edit *edit, uint8_t *head, uint32_t number, uint32_t payload,
		bool last);

/**
 * Write the checksums into the copied headers.
 *
 * @param view  a packet that begins with the copy
 */
void mif_edit_checksums(const struct mif_edit *edit, uint8_t *head, const struct rte_mbuf *view);

/** Insert the tag; MIF_TAG_BYTES in front of the copy are used. Returns the new first byte. */
uint8_t *mif_edit_tag(const struct mif_edit *edit, uint8_t *head);

#endif /* MEMIF_HEADERS_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * mode=ip: on the wire a packet begins with its IP header, for the application with an Ethernet
 * header. What is put in front at receive, and taken off at transmit.
 */

#ifndef MEMIF_IP_H
#define MEMIF_IP_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <rte_byteorder.h>
#include <rte_common.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include "memif_abi.h"

/** VLAN tags that transmit takes off a packet. */
#define MIF_L2_TAGS_MAX 2

/** The most that transmit takes off. */
#define MIF_L2_MAX (RTE_ETHER_HDR_LEN + MIF_L2_TAGS_MAX * RTE_VLAN_HLEN)

/**
 * The header for received packets, as two words that overlap: bytes 0 to 7 and 6 to 13. So our own
 * address, which may change while packets come in, is in one word and always whole.
 */
struct mif_l2 {
	uint64_t front;	  /**< own address, and the first bytes of the peer's */
	uint64_t back[2]; /**< the peer's address and the type: of IPv4, of IPv6 */
};

/** Bytes that receive puts in front of a packet: none in ethernet mode. */
static __rte_always_inline uint32_t
mif_l2_added(const enum mif_mode mode)
{
	return mode == MIF_MODE_IP ? RTE_ETHER_HDR_LEN : 0;
}

/** Does a packet with this first byte pass as IP? */
static __rte_always_inline bool
mif_is_ip(uint8_t first)
{
	return (first >> 4 == 4) | (first >> 4 == 6);
}

/** Set our own address; bursts may run. */
static inline void
mif_l2_set_own(struct mif_l2 *l2, const struct rte_ether_addr *own)
{
	uint8_t header[RTE_ETHER_HDR_LEN];
	uint64_t front;

	memcpy(header, own, RTE_ETHER_ADDR_LEN);
	memcpy(&header[RTE_ETHER_ADDR_LEN], &l2->back[0], sizeof(l2->back[0]));
	memcpy(&front, header, sizeof(front));
	__atomic_store_n(&l2->front, front, __ATOMIC_RELAXED);
}

/** Set both addresses; of a queue that no burst uses yet. */
static inline void
mif_l2_init(struct mif_l2 *l2, const struct rte_ether_addr *own, const struct rte_ether_addr *peer)
{
	const uint16_t types[] = {
		rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4),
		rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6),
	};

	for (unsigned int i = 0; i < RTE_DIM(types); i++) {
		memcpy(&l2->back[i], peer, RTE_ETHER_ADDR_LEN);
		memcpy((uint8_t *)&l2->back[i] + RTE_ETHER_ADDR_LEN, &types[i], sizeof(types[i]));
	}
	mif_l2_set_own(l2, own);
}

/**
 * Write the header of a received packet.
 *
 * @param to     RTE_ETHER_HDR_LEN bytes of room
 * @param first  first byte of the packet, of which mif_is_ip() is true
 */
static __rte_always_inline void
mif_l2_write(uint8_t *to, const struct mif_l2 *l2, uint8_t first)
{
	uint64_t front = __atomic_load_n(&l2->front, __ATOMIC_RELAXED);

	memcpy(to, &front, sizeof(front));
	memcpy(to + RTE_ETHER_ADDR_LEN, &l2->back[first >> 4 == 6], sizeof(l2->back[0]));
}

/** The two bytes at a place, as they would be read off the wire. */
static __rte_always_inline uint16_t
mif_l2_type(const uint8_t *at)
{
	rte_be16_t type;

	memcpy(&type, at, sizeof(type));
	return rte_be_to_cpu_16(type);
}

/**
 * Where the IP packet begins in a frame.
 *
 * @param length  bytes that may be looked at; at least MIF_L2_MAX + 1, or all there are
 * @return bytes in front of it; 0 if what the type says is not IP, or is not there
 */
static __rte_always_inline uint32_t
mif_l2_length(const uint8_t *frame, uint32_t length)
{
	uint32_t l2 = RTE_ETHER_HDR_LEN;
	uint16_t type;

	if (length <= l2)
		return 0;
	type = mif_l2_type(frame + l2 - sizeof(type));
	for (int tags = 0; tags < MIF_L2_TAGS_MAX &&
			(type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ);
			tags++) {
		l2 += RTE_VLAN_HLEN;
		if (length <= l2)
			return 0;
		type = mif_l2_type(frame + l2 - sizeof(type));
	}
	return (type == RTE_ETHER_TYPE_IPV4 && frame[l2] >> 4 == 4) ||
					(type == RTE_ETHER_TYPE_IPV6 && frame[l2] >> 4 == 6) ?
			l2 :
			0;
}

/** mode=ip: the same for what is in one segment; in ethernet mode nothing is in front. */
static __rte_always_inline uint32_t
mif_l2_of_segment(const struct rte_mbuf *mbuf, const enum mif_mode mode)
{
	return mode == MIF_MODE_IP ?
			mif_l2_length(rte_pktmbuf_mtod(mbuf, const uint8_t *), mbuf->data_len) :
			0;
}

/** The same for a packet whose first bytes may be spread over segments, some of them empty. */
static inline uint32_t
mif_l2_length_of(const struct rte_mbuf *mbuf)
{
	uint8_t frame[MIF_L2_MAX + 1];
	uint32_t length = 0;
	uint32_t part;

	for (; mbuf != NULL && length < sizeof(frame); mbuf = mbuf->next) {
		part = RTE_MIN((uint32_t)mbuf->data_len, (uint32_t)sizeof(frame) - length);
		memcpy(&frame[length], rte_pktmbuf_mtod(mbuf, const uint8_t *), part);
		length += part;
	}
	return mif_l2_length(frame, length);
}

#endif /* MEMIF_IP_H */

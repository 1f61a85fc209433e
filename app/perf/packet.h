/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Packets to send, and what is checked of received ones.
 */

#ifndef PERF_PACKET_H
#define PERF_PACKET_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <rte_common.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

/** First byte behind the Ethernet header of every packet: it passes as IPv4. */
#define PACKET_FIRST 0x45

/** Behind the Ethernet header of a checked packet; once more, its number ends the packet. */
struct packet_stamp {
	uint8_t magic[4];
	uint16_t queue; /**< on which it was sent */
	uint16_t length;
	uint64_t number; /**< of its queue, from 0 */
};

#define PACKET_STAMP_AT RTE_ETHER_HDR_LEN

static const uint8_t packet_magic[4] = { PACKET_FIRST, 'p', 'r', 'f' };

/**
 * Make a pool of mbufs whose room already holds an Ethernet frame.
 *
 * @param room  bytes of the longest packet
 * @return NULL after a message on stderr
 */
struct rte_mempool *packet_pool(const char *name, uint64_t count, uint32_t room);

/** Number a packet whose length is set. */
static inline void
packet_stamp(struct rte_mbuf *mbuf, uint16_t queue, uint64_t number)
{
	struct packet_stamp stamp = {
		.queue = queue,
		.length = mbuf->data_len,
		.number = number,
	};
	uint8_t *data = rte_pktmbuf_mtod(mbuf, uint8_t *);

	memcpy(stamp.magic, packet_magic, sizeof(stamp.magic));
	memcpy(data + PACKET_STAMP_AT, &stamp, sizeof(stamp));
	memcpy(data + mbuf->data_len - sizeof(number), &number, sizeof(number));
}

/** Read the number of a packet; false when it is not one of ours or not whole. */
static inline bool
packet_read(const struct rte_mbuf *mbuf, struct packet_stamp *stamp)
{
	const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint64_t number;

	if (mbuf->nb_segs != 1 || mbuf->data_len < PACKET_STAMP_AT + sizeof(*stamp))
		return false;
	memcpy(stamp, data + PACKET_STAMP_AT, sizeof(*stamp));
	memcpy(&number, data + mbuf->data_len - sizeof(number), sizeof(number));
	return memcmp(stamp->magic, packet_magic, sizeof(packet_magic)) == 0 &&
			stamp->length == mbuf->data_len && stamp->number == number;
}

/**
 * Take packets of one segment from a pool of packet_pool(), without going through a reset: an mbuf
 * that is in its pool has one segment and one owner.
 *
 * @return true, or false when there are not that many
 */
static inline bool
packet_take(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int count)
{
	return rte_mempool_get_bulk(pool, (void **)mbufs, count) == 0;
}

static inline void
packet_set(struct rte_mbuf *mbuf, uint16_t length)
{
	mbuf->data_off = RTE_PKTMBUF_HEADROOM;
	mbuf->ol_flags = 0;
	mbuf->pkt_len = length;
	mbuf->data_len = length;
}

/** Give packets back to their pool; plain ones of one pool, the usual case, all at once. */
static inline void
packet_give_back(struct rte_mbuf **mbufs, unsigned int count)
{
	struct rte_mempool *pool = mbufs[0]->pool;
	bool plain = true;

	for (unsigned int i = 0; i < count; i++)
		plain &= (mbufs[i]->pool == pool) & (mbufs[i]->nb_segs == 1) &
				(rte_mbuf_refcnt_read(mbufs[i]) == 1) & RTE_MBUF_DIRECT(mbufs[i]);
	if (likely(plain))
		rte_mempool_put_bulk(pool, (void *const *)mbufs, count);
	else
		rte_pktmbuf_free_bulk(mbufs, count);
}

#endif /* PERF_PACKET_H */

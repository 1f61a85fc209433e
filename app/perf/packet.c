/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <rte_errno.h>
#include <rte_lcore.h>

#include "packet.h"

#define CACHE 256u

/* Round numbers from headroom to tail: drivers want at least 2 KB of room by default. */
#define ROOM_SMALLEST 2048

/* Locally administered addresses, and a version of IP: a link with mode=ip drops all else. */
static const uint8_t header[RTE_ETHER_HDR_LEN + 1] = { 0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0,
	0x01, 0x08, 0x00, PACKET_FIRST };

static void
write_frame(struct rte_mempool *pool, void *arg, void *object, unsigned int index)
{
	struct rte_mbuf *mbuf = object;
	uint8_t *data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	uint32_t room = *(const uint32_t *)arg;

	(void)pool;
	memcpy(data, header, sizeof(header));
	for (uint32_t i = sizeof(header); i < room; i++)
		data[i] = (uint8_t)(i + index);
}

struct rte_mempool *
packet_pool(const char *name, uint64_t count, uint32_t room)
{
	struct rte_mempool *pool;

	room = RTE_MAX(room, (uint32_t)ROOM_SMALLEST);
	pool = rte_pktmbuf_pool_create(name, (unsigned int)count,
			RTE_MIN(CACHE, (unsigned int)count / 2), 0,
			(uint16_t)(room + RTE_PKTMBUF_HEADROOM), (int)rte_socket_id());
	if (pool == NULL) {
		fprintf(stderr,
				"dpdk-memif-perf: no memory for %llu packets of %u bytes: %s; give "
				"EAL more (-m MEGABYTES), or ask for fewer (--mbufs)\n",
				(unsigned long long)count, room, rte_strerror(rte_errno));
		return NULL;
	}
	rte_mempool_obj_iter(pool, write_frame, &room);
	return pool;
}

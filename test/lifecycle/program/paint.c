/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>

#include <rte_common.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "paint.h"

#define PAINT 0x5a
#define MBUFS_MAX 8192

static struct rte_mbuf *painted[MBUFS_MAX];
static unsigned int painted_count;

static bool
is_spoiled(struct rte_mbuf *mbuf)
{
	const uint8_t *data = mbuf->buf_addr;

	for (uint16_t i = 0; i < mbuf->buf_len; i++) {
		if (data[i] != PAINT)
			return true;
	}
	return false;
}

unsigned int
paint_take(struct rte_mempool *pool)
{
	while (painted_count < MBUFS_MAX) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);

		if (mbuf == NULL)
			break;
		memset(mbuf->buf_addr, PAINT, mbuf->buf_len);
		painted[painted_count++] = mbuf;
	}
	return painted_count;
}

unsigned int
paint_free(void)
{
	unsigned int spoiled = 0;

	for (; painted_count > 0; painted_count--) {
		spoiled += is_spoiled(painted[painted_count - 1]);
		rte_pktmbuf_free(painted[painted_count - 1]);
	}
	return spoiled;
}

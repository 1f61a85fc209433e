/* SPDX-License-Identifier: BSD-3-Clause */

/* Zero-copy with pools whose mbufs have buffers of their own: what cannot be shared is copied. */

#include <stdlib.h>

#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mempool.h>

#include "check.h"

#define ZERO_COPY ",rsize=6,zero-copy=yes"
#define COPY ",rsize=6"
#define LENGTH 1500u
#define COUNT 32
#define MBUFS 511u
#define BUFFER (MBUF_ROOM + RTE_PKTMBUF_HEADROOM)

static const struct setup plain = { 0 };

/* A pool with its buffers in memory of EAL, or in memory that EAL does not know. */
struct pinned {
	struct rte_mempool *pool;
	void *eal, *other;
};

static void
pool_make(struct pinned *pinned, bool eal)
{
	const size_t bytes = (size_t)(MBUFS + 1) * BUFFER;
	struct rte_pktmbuf_extmem memory = { .buf_len = bytes, .elt_size = BUFFER };

	if (eal)
		pinned->eal = rte_malloc("pinned", bytes, 4096);
	else
		pinned->other = aligned_alloc(4096, bytes);
	memory.buf_ptr = eal ? pinned->eal : pinned->other;
	CHECK(memory.buf_ptr != NULL);
	memory.buf_iova = (rte_iova_t)(uintptr_t)memory.buf_ptr;
	pinned->pool = rte_pktmbuf_pool_create_extbuf("pinned", MBUFS, 0, 0, BUFFER, SOCKET_ID_ANY,
			&memory, 1);
	CHECK(pinned->pool != NULL);
}

static void
pool_free(struct pinned *pinned)
{
	rte_mempool_free(pinned->pool);
	rte_free(pinned->eal);
	free(pinned->other);
	*pinned = (struct pinned){ 0 };
}

/* What one port has received into the pool leaves by it again; the other port gets it as it was. */
static void
bounce(uint16_t port, uint16_t peer, const struct rte_mempool *pool)
{
	struct rte_mbuf *packets[COUNT];

	for (unsigned int round = 0; round < 100; round++) {
		CHECK_EQ(send_packets(peer, 0, COUNT, LENGTH), COUNT);
		CHECK_EQ(rte_eth_rx_burst(port, 0, packets, COUNT), COUNT);
		for (unsigned int i = 0; i < COUNT; i++) {
			CHECK(packets[i]->pool == pool);
			CHECK(RTE_MBUF_HAS_EXTBUF(packets[i]));
			CHECK(is_intact(packets[i], LENGTH));
		}
		CHECK_EQ(rte_eth_tx_burst(port, 0, packets, COUNT), COUNT);
		CHECK_EQ(take_packets(peer, 0, COUNT, LENGTH), COUNT);
	}
}

/* Of a client: the server may fill them where they are in memory that the client shows it. */
static void
at_client(struct pair *pair, const struct setup *setup, bool eal)
{
	uint16_t client;

	CHECK_EQ(pair_up_as(pair, COPY, &plain, ZERO_COPY, setup), 0);
	client = client_of(pair);
	STEP(bounce(client, server_of(pair), setup->pool));
	if (!eal)
		CHECK_EQ(xstat(client, "rx_copied_buffers"), 100 * COUNT);
	CHECK_EQ(xstat(client, "tx_copied_shared_segments"), 100 * COUNT);
}

/* Of a server: they cannot point elsewhere, so nothing is lent. */
static void
at_server(struct pair *pair, const struct setup *setup, bool eal)
{
	uint16_t server;

	RTE_SET_USED(eal);
	CHECK_EQ(pair_up_as(pair, ZERO_COPY, setup, COPY, &plain), 0);
	server = server_of(pair);
	STEP(bounce(server, client_of(pair), setup->pool));
	CHECK_EQ(xstat(server, "rx_zero_copy_packets"), 0);
}

/* With one kind of pool, from which nothing is missing when the ports have gone. */
static void
play(struct pair *pair, struct pinned *pinned, bool eal,
		void (*one)(struct pair *, const struct setup *, bool))
{
	struct setup setup = { 0 };

	STEP(pool_make(pinned, eal));
	setup.pool = pinned->pool;
	STEP(one(pair, &setup, eal));
	pair_detach(pair);
	CHECK_EQ(rte_mempool_in_use_count(pinned->pool), 0);
}

static void
try(struct pair *pair, void (*one)(struct pair *, const struct setup *, bool))
{
	struct pinned pinned = { 0 };

	for (unsigned int eal = 0; eal < 2 && !case_has_failed(); eal++) {
		play(pair, &pinned, eal != 0, one);
		/* Before their memory, also after a failure. */
		pair_detach(pair);
		pool_free(&pinned);
	}
}

static void
pinned_at_client(struct pair *pair)
{
	try(pair, at_client);
}

static void
pinned_at_server(struct pair *pair)
{
	try(pair, at_server);
}

const struct test_case pinned_cases[] = {
	{ "pinned-at-client", pinned_at_client },
	{ "pinned-at-server", pinned_at_server },
	{ NULL, NULL },
};

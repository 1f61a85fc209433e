/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Pools of other ports are freed, while a client that does not copy has them exposed, or before it looks
 * at them.
 */

#include <stdio.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mempool.h>

#include "check.h"

#define ZERO_COPY ",rsize=6,zero-copy=yes"
#define COPY ",rsize=6"
#define LENGTH 1000u
#define PACKETS 20u
#define BLOCKS 4096 /* small ones, that come to lie where a pool was */
#define BLOCK 512
#define FILLERS 32 /* large ones, of two pages and more */
#define FILLER (160 * 1024)

static const struct setup plain = { 0 };

/* A few that share a page with a filler, so EAL keeps it; many that have pages of their own, which EAL
 * gives back. */
static const unsigned int sizes[] = { 63, 4095 };

static struct rte_mempool *
make_pool(unsigned int size)
{
	return rte_pktmbuf_pool_create("freed", size, 0, 0, RTE_PKTMBUF_HEADROOM + MBUF_ROOM,
			SOCKET_ID_ANY);
}

static void
fill_heap(void **blocks, unsigned int count, size_t size)
{
	for (unsigned int i = 0; i < count; i++) {
		blocks[i] = rte_malloc(NULL, size, 0);
		if (blocks[i] != NULL)
			memset(blocks[i], 0x5a, size);
	}
}

static void
empty_heap(void *const *blocks, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		rte_free(blocks[i]);
}

/* A third port, which never has a peer. */
static void
bystander_up(struct pair *pair, struct end *bystander, struct rte_mempool *pool)
{
	const struct setup setup = { .pool = pool };

	*bystander = (struct end){ .role = "server", .name = "net_memif2" };
	CHECK(pool != NULL);
	CHECK_EQ(end_attach(pair, bystander, ",id=7"), 0);
	CHECK_EQ(end_configure(bystander, &setup), 0);
	CHECK_EQ(rte_eth_dev_start(bystander->id), 0);
}

/* How many of the packets from this pool the client has to copy. */
static void
copied_of(struct pair *pair, struct rte_mempool *pool, unsigned int wanted)
{
	uint16_t client = client_of(pair);
	uint64_t before = xstat(client, "tx_copied_unexposed_segments");

	CHECK_EQ(send_packets_of(pool, client, 0, PACKETS, LENGTH), PACKETS);
	CHECK_EQ(take_packets(server_of(pair), 0, 32, LENGTH), PACKETS);
	rte_eth_tx_done_cleanup(client, 0, 0);
	CHECK_EQ(rte_mempool_in_use_count(pool), pool == mbufs ? 64u : 0u);
	CHECK_EQ(xstat(client, "tx_copied_unexposed_segments") - before, wanted);
}

static void
back_and_forth(struct pair *pair)
{
	STEP(copied_of(pair, mbufs, 0));
	CHECK_EQ(send_packets(server_of(pair), 0, PACKETS, LENGTH), PACKETS);
	CHECK_EQ(take_packets(client_of(pair), 0, 32, LENGTH), PACKETS);
	/* Posted again. */
	CHECK_EQ(take_packets(client_of(pair), 0, 1, LENGTH), 0);
}

/* Without a new start of the client: its port does not look at the pools of others again. */
static void
connect_again(struct pair *pair)
{
	CHECK_EQ(rte_eth_dev_set_link_down(client_of(pair)), 0);
	CHECK(pair_wait_link(pair, false));
	CHECK_EQ(rte_eth_dev_set_link_up(client_of(pair)), 0);
	CHECK(pair_wait_link(pair, true));
}

/*
 * The connection goes on. What comes to lie there has the right bytes, and is not offered to the server
 * of the next connection: no queue receives into it.
 */
static void
freed_while_connected(struct pair *pair, unsigned int size)
{
	struct rte_mempool *pool = make_pool(size);
	struct end bystander;

	STEP(bystander_up(pair, &bystander, pool));
	CHECK_EQ(pair_up_as(pair, COPY, &plain, ZERO_COPY, &plain), 0);
	STEP(copied_of(pair, pool, 0));
	end_detach(&bystander);
	rte_mempool_free(pool);
	STEP(back_and_forth(pair));
	pool = make_pool(size);
	CHECK(pool != NULL);
	for (unsigned int round = 0; round < 10; round++) {
		CHECK_EQ(send_packets_of(pool, client_of(pair), 0, PACKETS, LENGTH), PACKETS);
		CHECK_EQ(take_packets(server_of(pair), 0, 32, LENGTH), PACKETS);
	}
	STEP(back_and_forth(pair));
	STEP(connect_again(pair));
	/* In ordinary pages all memory is one file. */
	STEP(copied_of(pair, pool, rte_eal_has_hugepages() ? PACKETS : 0));
	STEP(back_and_forth(pair));
	pair_detach(pair);
	rte_mempool_free(pool);
}

/* Fillers: no page has mbufs of the pool that is exposed anyway, and of the one that is freed. */
static void
exposed(struct pair *pair)
{
	void *fillers[FILLERS];

	fill_heap(fillers, FILLERS, FILLER);
	for (unsigned int i = 0; i < RTE_DIM(sizes) && !case_has_failed(); i++)
		freed_while_connected(pair, sizes[i]);
	empty_heap(fillers, FILLERS);
}

/* A port that was stopped, and not closed, names the pool still. */
static void
freed_before_start(struct pair *pair, unsigned int size)
{
	struct rte_mempool *pool = make_pool(size);
	static void *blocks[BLOCKS];
	struct end bystander;

	STEP(bystander_up(pair, &bystander, pool));
	CHECK_EQ(rte_eth_dev_stop(bystander.id), 0);
	rte_mempool_free(pool);
	/* Something else comes to lie where the pool was. */
	fill_heap(blocks, BLOCKS, BLOCK);
	CHECK_EQ(pair_up_as(pair, COPY, &plain, ZERO_COPY, &plain), 0);
	empty_heap(blocks, BLOCKS);
	STEP(back_and_forth(pair));
	STEP(connect_again(pair));
	STEP(back_and_forth(pair));
	end_detach(&bystander);
	pair_detach(pair);
}

static void
of_stopped_port(struct pair *pair)
{
	for (unsigned int i = 0; i < RTE_DIM(sizes); i++)
		STEP(freed_before_start(pair, sizes[i]));
}

const struct test_case freed_cases[] = {
	{ "freed-while-exposed", exposed },
	{ "freed-of-stopped-port", of_stopped_port },
	{ NULL, NULL },
};

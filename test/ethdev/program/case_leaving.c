/* SPDX-License-Identifier: BSD-3-Clause */

/* The end of a connection whose client does not copy, while the server is inside a burst. */

#include <errno.h>
#include <stdbool.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mempool.h>
#include <rte_spinlock.h>

#include "check.h"

#define ZERO_COPY ",rsize=6,zero-copy=yes"
#define COPY ",rsize=6"
#define LENGTH 500u
#define MBUFS 255u
#define DAWDLE_MS 50 /* of the burst, after the client was told to leave */
#define LIMIT_MS 500 /* what a client that leaves waits for */
#define ATTEMPTS 8

static const struct setup plain = { 0 };

/* What the burst waits for, and what it has come to. */
static struct {
	bool slow;    /* whoever gets mbufs from the pool takes his time */
	bool inside;  /* and does so now */
	bool leaving; /* the client is about to leave */
	bool over;
} burst;

static bool
is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void
set(bool *flag, bool value)
{
	__atomic_store_n(flag, value, __ATOMIC_RELEASE);
}

/* A pool of mbufs that can be slow: a stack. A receive burst that copies gets them while it is inside. */
struct stack {
	rte_spinlock_t lock;
	unsigned int count;
	void *objects[MBUFS];
};

static int
stack_alloc(struct rte_mempool *pool)
{
	static struct stack only;

	only = (struct stack){ .lock = RTE_SPINLOCK_INITIALIZER };
	pool->pool_data = &only;
	return 0;
}

static void
stack_free(struct rte_mempool *pool)
{
	pool->pool_data = NULL;
}

static int
stack_put(struct rte_mempool *pool, void *const *objects, unsigned int count)
{
	struct stack *stack = pool->pool_data;

	rte_spinlock_lock(&stack->lock);
	for (unsigned int i = 0; i < count; i++)
		stack->objects[stack->count++] = objects[i];
	rte_spinlock_unlock(&stack->lock);
	return 0;
}

static void
dawdle(void)
{
	set(&burst.slow, false);
	set(&burst.inside, true);
	while (!is_set(&burst.leaving))
		rte_delay_us_sleep(100);
	rte_delay_us_sleep(DAWDLE_MS * 1000);
	set(&burst.over, true);
}

static int
stack_get(struct rte_mempool *pool, void **objects, unsigned int count)
{
	struct stack *stack = pool->pool_data;
	int ret = -ENOBUFS;

	if (is_set(&burst.slow))
		dawdle();
	rte_spinlock_lock(&stack->lock);
	if (stack->count >= count) {
		for (unsigned int i = 0; i < count; i++)
			objects[i] = stack->objects[--stack->count];
		ret = 0;
	}
	rte_spinlock_unlock(&stack->lock);
	return ret;
}

static unsigned int
stack_count(const struct rte_mempool *pool)
{
	const struct stack *stack = pool->pool_data;

	return stack->count;
}

static const struct rte_mempool_ops slow_ops = {
	.name = "slow",
	.alloc = stack_alloc,
	.free = stack_free,
	.enqueue = stack_put,
	.dequeue = stack_get,
	.get_count = stack_count,
};
RTE_MEMPOOL_REGISTER_OPS(slow_ops);

static int
receive_there(void *arg)
{
	const uint16_t *server = arg;

	return take_packets(*server, 0, 1, LENGTH);
}

/* How a client leaves, and comes back. */
struct way {
	int (*leave)(uint16_t port);
	int (*back)(uint16_t port);
};

/*
 * The client leaves while a burst of the server is inside. Returns the milliseconds that it took; *waited
 * is whether the burst was over then.
 */
static uint64_t
leave_under_burst(const struct way *way, uint16_t client, uint16_t server, unsigned int lcore,
		bool *waited)
{
	uint64_t begin;

	burst.over = burst.leaving = burst.inside = false;
	set(&burst.slow, true);
	rte_eal_remote_launch(receive_there, &server, lcore);
	while (!is_set(&burst.inside))
		rte_delay_us_sleep(100);
	begin = rte_get_timer_cycles();
	set(&burst.leaving, true);
	way->leave(client);
	*waited = is_set(&burst.over);
	begin = rte_get_timer_cycles() - begin;
	rte_eal_wait_lcore(lcore);
	return begin * 1000 / rte_get_timer_hz();
}

/*
 * A server hangs up when its last burst has ended: until then it may write into the client's mbufs, which
 * stay where they are. Once is enough, as a busy machine may let the client's patience end.
 */
static void
leaves_server_inside(struct pair *pair, const struct way *way)
{
	struct rte_mempool *slow = rte_pktmbuf_pool_create_by_ops("slow", MBUFS, 0, 0,
			RTE_PKTMBUF_HEADROOM + MBUF_ROOM, SOCKET_ID_ANY, "slow");
	const struct setup server_setup = { .pool = slow };
	unsigned int lcore = rte_get_next_lcore(-1, 1, 0);
	uint16_t client, server;
	bool waited = false;
	uint64_t took;

	CHECK(slow != NULL && lcore < RTE_MAX_LCORE);
	CHECK_EQ(pair_up_as(pair, COPY, &server_setup, ZERO_COPY, &plain), 0);
	client = client_of(pair);
	server = server_of(pair);
	for (unsigned int i = 0; i < ATTEMPTS && !waited; i++) {
		CHECK(pair_wait_link(pair, true));
		CHECK_EQ(send_packets(client, 0, 1, LENGTH), 1);
		took = leave_under_burst(way, client, server, lcore, &waited);
		CHECK(waited || took >= LIMIT_MS);
		CHECK_EQ(mbufs_in_use(), 0);
		CHECK_EQ(way->back(client), 0);
	}
	CHECK(waited);
	pair_detach(pair);
	rte_mempool_free(slow);
}

static void
stopped_server_inside(struct pair *pair)
{
	const struct way way = { rte_eth_dev_stop, rte_eth_dev_start };

	leaves_server_inside(pair, &way);
}

static void
set_down_server_inside(struct pair *pair)
{
	const struct way way = { rte_eth_dev_set_link_down, rte_eth_dev_set_link_up };

	leaves_server_inside(pair, &way);
}

const struct test_case leaving_cases[] = {
	{ "leaving-server-inside", stopped_server_inside },
	{ "leaving-server-inside-set-down", set_down_server_inside },
	{ NULL, NULL },
};

/* SPDX-License-Identifier: BSD-3-Clause */

/* Zero-copy transmit of a client: which mbufs it keeps, for how long, and who gets them back. */

#include <poll.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "check.h"
#include "lent.h"

#define ZERO_COPY ",rsize=6,zero-copy=yes"
#define COPY ",rsize=6"
#define SLOTS 64u /* of a ring; a receive ring of the client has as many mbufs */
#define LENGTH 1000u
#define CHAIN (3 * MBUF_ROOM) /* bytes of a packet in three mbufs */
#define PATIENCE_MS 10000
#define PACKETS 50000u /* of a sender, through shared rings */

static const struct setup plain = { 0 };
static const struct setup scatter = { .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER };

static bool
all_come_back(void)
{
	for (int ms = 0; ms < PATIENCE_MS && mbufs_in_use() != 0; ms++)
		rte_delay_us_sleep(1000);
	return mbufs_in_use() == 0;
}

/* A client that keeps what it sends, and a server that copies. */
static int
keeper_up(struct pair *pair, const struct setup *server_setup, const struct setup *client_setup,
		uint16_t *client, uint16_t *server)
{
	int ret = pair_up_as(pair, COPY, server_setup, ZERO_COPY, client_setup);

	*client = client_of(pair);
	*server = server_of(pair);
	return ret;
}

static uint64_t
copied_to_send(uint16_t client)
{
	return xstat(client, "tx_copied_shared_segments") +
			xstat(client, "tx_copied_unexposed_segments") +
			xstat(client, "tx_copied_unfit_segments");
}

/* With MBUF_FAST_FREE, as without: every mbuf is back, once, whether it was alone or in a chain. */
static void
fast_free(struct pair *pair)
{
	const struct setup fast = { .tx_offloads = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE,
		.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER };
	uint16_t client, server;
	unsigned int before;

	CHECK_EQ(keeper_up(pair, &fast, &fast, &client, &server), 0);
	before = mbufs_in_use();
	for (unsigned int round = 0; round < 1000; round++) {
		CHECK_EQ(send_packets(client, 0, 16, LENGTH), 16);
		CHECK_EQ(send_packets(client, 0, 5, CHAIN), 5);
		CHECK_EQ(take_packets(server, 0, 16, LENGTH), 16);
		CHECK_EQ(take_packets(server, 0, 5, CHAIN), 5);
		CHECK_EQ(mbufs_in_use(), before + 16 + 15);
		rte_eth_tx_done_cleanup(client, 0, 0);
		CHECK_EQ(mbufs_in_use(), before);
		CHECK_EQ(send_packets(server, 0, 16, LENGTH), 16);
		CHECK_EQ(take_packets(client, 0, 16, LENGTH), 16);
	}
	CHECK_EQ(copied_to_send(client), 0);
	/* Posted again. */
	CHECK_EQ(take_packets(client, 0, 1, LENGTH), 0);
	CHECK_EQ(mbufs_in_use(), before);
}

/*
 * DPDK forbids MBUF_FAST_FREE for packets that a server has lent, but who forwards may not know what it
 * has received: their slots go back all the same, whether they leave by a server or by a client. The
 * latter finds them in memory that it has exposed: they are its own packets.
 */
static void
fast_free_of_lent(struct pair *pair)
{
	const struct setup fast = { .tx_offloads = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE };
	struct held held = { 0 };
	uint16_t ports[2];
	unsigned int before, forwarded = 0;

	CHECK_EQ(pair_up_as(pair, ZERO_COPY, &fast, ZERO_COPY, &fast), 0);
	ports[0] = server_of(pair);
	ports[1] = client_of(pair);
	before = mbufs_in_use();
	for (unsigned int round = 0; round < 1000; round++) {
		hold_packets(pair, &held, 20, LENGTH);
		CHECK_EQ(held.count, 20);
		CHECK_EQ(count_lent(&held), 20);
		CHECK_EQ(rte_eth_tx_burst(ports[round % 2], 0, held.packets, 20), 20);
		forwarded += round % 2 != 0 ? 20 : 0;
		held.count = 0;
		CHECK_EQ(take_packets(ports[1 - round % 2], 0, 32, LENGTH), 20);
	}
	CHECK_EQ(xstat(ports[1], "tx_copied_shared_segments"), forwarded);
	CHECK_EQ(copied_to_send(ports[1]), forwarded);
	/* Slots go back at a look at the ring, then the mbufs in them. */
	CHECK_EQ(take_packets(ports[0], 0, 1, LENGTH), 0);
	CHECK_EQ(take_packets(ports[1], 0, 1, LENGTH), 0);
	rte_eth_tx_done_cleanup(ports[1], 0, 0);
	CHECK_EQ(mbufs_in_use(), before);
}

static uint16_t
reported_threshold(uint16_t port)
{
	struct rte_eth_txq_info info;

	return rte_eth_tx_queue_info_get(port, 0, &info) == 0 ? info.conf.tx_free_thresh :
								UINT16_MAX;
}

/*
 * The server has taken 40 of 64 slots. Their mbufs come back with the first packet that leaves fewer
 * free slots than the threshold; so many packets later.
 */
static void
threshold_is(struct pair *pair, uint16_t threshold, unsigned int later)
{
	const struct setup setup = { .tx_free_thresh = threshold };
	uint16_t client, server;
	unsigned int before;

	CHECK_EQ(keeper_up(pair, &plain, &setup, &client, &server), 0);
	CHECK_EQ(reported_threshold(client), threshold);
	before = mbufs_in_use();
	for (unsigned int i = 0; i < 40; i += 20)
		CHECK_EQ(send_packets(client, 0, 20, LENGTH), 20);
	CHECK_EQ(mbufs_in_use(), before + 40);
	CHECK_EQ(take_packets(server, 0, 40, LENGTH), 40);
	for (unsigned int i = 1; i <= later; i++) {
		CHECK_EQ(send_packets(client, 0, 1, LENGTH), 1);
		CHECK_EQ(mbufs_in_use(), before + 40 + i);
	}
	CHECK_EQ(send_packets(client, 0, 1, LENGTH), 1);
	CHECK_EQ(mbufs_in_use(), before + later + 1);
	pair_detach(pair);
}

/* 0 is the driver's choice: as soon as there are some. More than a ring has is the same. */
static void
free_threshold(struct pair *pair)
{
	static const struct {
		uint16_t threshold;
		unsigned int later;
	} wanted[] = { { 0, 0 }, { 1, 23 }, { 8, 16 }, { 23, 1 }, { 24, 0 }, { 64, 0 },
		{ UINT16_MAX, 0 } };

	for (unsigned int i = 0; i < RTE_DIM(wanted); i++)
		STEP(threshold_is(pair, wanted[i].threshold, wanted[i].later));
}

/*
 * A burst of no packets goes by the threshold as well: 24 of 64 slots are free, and the server has taken
 * what is in the others.
 */
static void
empty_burst_with(struct pair *pair, uint16_t threshold, bool frees)
{
	const struct setup setup = { .tx_free_thresh = threshold };
	uint16_t client, server;
	unsigned int before;

	CHECK_EQ(keeper_up(pair, &plain, &setup, &client, &server), 0);
	before = mbufs_in_use();
	CHECK_EQ(send_packets(client, 0, 40, LENGTH), 40);
	CHECK_EQ(rte_eth_tx_burst(client, 0, NULL, 0), 0);
	CHECK_EQ(mbufs_in_use(), before + 40);
	CHECK_EQ(take_packets(server, 0, 40, LENGTH), 40);
	CHECK_EQ(rte_eth_tx_burst(client, 0, NULL, 0), 0);
	CHECK_EQ(mbufs_in_use(), frees ? before : before + 40);
	CHECK_EQ(take_packets(server, 0, 1, LENGTH), 0);
	pair_detach(pair);
}

static void
empty_burst(struct pair *pair)
{
	STEP(empty_burst_with(pair, 0, true));
	STEP(empty_burst_with(pair, 24, false));
	STEP(empty_burst_with(pair, 25, true));
}

/* Of packets in one mbuf, or in three: as many as asked for, of those that the server has taken. */
static void
clean_up(uint16_t client, uint16_t server, uint32_t length)
{
	const unsigned int segments = (length + MBUF_ROOM - 1) / MBUF_ROOM;
	unsigned int before = mbufs_in_use(), kept = 12 * segments;

	CHECK_EQ(send_packets(client, 0, 12, length), 12);
	CHECK_EQ(mbufs_in_use(), before + kept);
	/* It has not looked yet. */
	CHECK_EQ(rte_eth_tx_done_cleanup(client, 0, 0), 0);
	CHECK_EQ(rte_eth_tx_done_cleanup(client, 0, 5), 0);
	CHECK_EQ(mbufs_in_use(), before + kept);
	CHECK_EQ(take_packets(server, 0, 9, length), 9);
	CHECK_EQ(rte_eth_tx_done_cleanup(client, 0, 1), 1);
	CHECK_EQ(mbufs_in_use(), before + kept - segments);
	CHECK_EQ(rte_eth_tx_done_cleanup(client, 0, 4), 4);
	CHECK_EQ(mbufs_in_use(), before + kept - 5 * segments);
	CHECK_EQ(rte_eth_tx_done_cleanup(client, 0, 100), 4);
	CHECK_EQ(mbufs_in_use(), before + kept - 9 * segments);
	CHECK_EQ(rte_eth_tx_done_cleanup(client, 0, 0), 0);
	CHECK_EQ(take_packets(server, 0, 32, length), 3);
	CHECK_EQ(rte_eth_tx_done_cleanup(client, 0, 0), 3);
	CHECK_EQ(mbufs_in_use(), before);
}

static void
done_cleanup(struct pair *pair)
{
	uint16_t client, server;

	CHECK_EQ(keeper_up(pair, &scatter, &scatter, &client, &server), 0);
	for (unsigned int round = 0; round < 500; round++) {
		STEP(clean_up(client, server, LENGTH));
		STEP(clean_up(client, server, CHAIN));
	}
	CHECK_EQ(send_packets(client, 0, 12, LENGTH), 12);
	CHECK_EQ(rte_eth_dev_stop(server), 0);
	CHECK(pair_wait_down(pair_end(pair, "client")));
	CHECK_EQ(rte_eth_tx_done_cleanup(client, 0, 0), 0);
	/* A moment later, when no burst can be inside. */
	CHECK(all_come_back());
	CHECK_EQ(rte_eth_tx_done_cleanup(server, 0, 0), 0);
}

/* Sends on both of its queues in turn until it is told to end. */
struct sender {
	uint16_t port, first_queue;
	unsigned int left;
};

static void
send_some(struct sender *sender)
{
	unsigned int left = __atomic_load_n(&sender->left, __ATOMIC_RELAXED);
	uint16_t queue = (uint16_t)(sender->first_queue + left / 8 % 2);
	uint16_t sent = send_packets(sender->port, queue, (uint16_t)RTE_MIN(left, 8u), LENGTH);

	__atomic_fetch_sub(&sender->left, sent, __ATOMIC_RELAXED);
	rte_eth_tx_done_cleanup(sender->port, queue, 3);
}

static int
send_there(void *arg)
{
	struct sender *sender = arg;

	while (__atomic_load_n(&sender->left, __ATOMIC_RELAXED) != 0)
		send_some(sender);
	return 0;
}

/* Until all have come, or it has taken too long. */
static unsigned int
send_and_take(struct sender *here, uint16_t server, unsigned int wanted)
{
	uint64_t end = rte_get_timer_cycles() + rte_get_timer_hz() / 1000 * PATIENCE_MS;
	unsigned int taken = 0;

	while (taken < wanted && rte_get_timer_cycles() < end) {
		send_some(here);
		taken += take_packets(server, 0, 32, LENGTH);
		taken += take_packets(server, 1, 32, LENGTH);
	}
	return taken;
}

/* Two lcores with two queues each, on two rings: each mbuf is back once, whoever gives it back. */
static void
shared_rings(struct pair *pair)
{
	const struct setup two = { .rxq = 2 }, four = { .txq = 4 };
	unsigned int lcore = rte_get_next_lcore(-1, 1, 0);
	struct sender here = { .first_queue = 0, .left = PACKETS };
	struct sender there = { .first_queue = 2, .left = PACKETS };
	unsigned int before, taken;
	uint16_t client, server;

	CHECK(lcore < RTE_MAX_LCORE);
	CHECK_EQ(keeper_up(pair, &two, &four, &client, &server), 0);
	here.port = there.port = client;
	before = mbufs_in_use();
	CHECK_EQ(rte_eal_remote_launch(send_there, &there, lcore), 0);
	taken = send_and_take(&here, server, 2 * PACKETS);
	if (taken != 2 * PACKETS)
		__atomic_store_n(&there.left, 0, __ATOMIC_RELAXED);
	rte_eal_wait_lcore(lcore);
	CHECK_EQ(taken, 2 * PACKETS);
	CHECK_EQ(take_packets(server, 0, 1, LENGTH), 0);
	CHECK_EQ(take_packets(server, 1, 1, LENGTH), 0);
	for (uint16_t i = 0; i < 2; i++)
		rte_eth_tx_done_cleanup(client, i, 0);
	CHECK_EQ(mbufs_in_use(), before);
	CHECK_EQ(copied_to_send(client), 0);
}

/* A sleeping client is woken when the server has filled one of its mbufs, and for each one again. */
static void
asleep(struct pair *pair)
{
	const struct setup sleepy = { .rx_interrupts = true };
	struct pollfd file = { .events = POLLIN };
	uint16_t client, server;
	unsigned int before;

	CHECK_EQ(keeper_up(pair, &plain, &sleepy, &client, &server), 0);
	before = mbufs_in_use();
	file.fd = rte_eth_dev_rx_intr_ctl_q_get_fd(client, 0);
	CHECK(file.fd >= 0);
	for (unsigned int round = 0; round < 500; round++) {
		CHECK_EQ(rte_eth_dev_rx_intr_enable(client, 0), 0);
		CHECK_EQ(poll(&file, 1, 0), 0);
		CHECK_EQ(send_packets(server, 0, 1 + round % SLOTS, LENGTH), 1 + round % SLOTS);
		CHECK_EQ(poll(&file, 1, PATIENCE_MS), 1);
		CHECK_EQ(rte_eth_dev_rx_intr_disable(client, 0), 0);
		CHECK_EQ(take_packets(client, 0, SLOTS, LENGTH), 1 + round % SLOTS);
		/* All is posted again. */
		CHECK_EQ(take_packets(client, 0, 1, LENGTH), 0);
		CHECK_EQ(mbufs_in_use(), before);
	}
	CHECK_EQ(xstat(client, "rx_copied_buffers"), 0);
}

/* Nothing is posted, and the pool is empty: who slept now would sleep for ever, as nobody can wake it. */
static void
asleep_without_mbufs(struct pair *pair)
{
	const struct setup sleepy = { .rx_interrupts = true };
	static struct rte_mbuf *all[16384], *packets[SLOTS];
	struct pollfd file = { .events = POLLIN };
	uint16_t client, server;
	unsigned int count;

	CHECK_EQ(keeper_up(pair, &plain, &sleepy, &client, &server), 0);
	file.fd = rte_eth_dev_rx_intr_ctl_q_get_fd(client, 0);
	CHECK_EQ(send_packets(server, 0, SLOTS, LENGTH), SLOTS);
	for (count = 0; count < RTE_DIM(all); count++) {
		all[count] = rte_pktmbuf_alloc(mbufs);
		if (all[count] == NULL)
			break;
	}
	CHECK_EQ(rte_eth_rx_burst(client, 0, packets, SLOTS), SLOTS);
	CHECK_EQ(rte_eth_rx_burst(client, 0, &all[count], 1), 0);
	CHECK_EQ(rte_eth_dev_rx_intr_enable(client, 0), 0);
	CHECK_EQ(poll(&file, 1, 0), 1);
	CHECK_EQ(rte_eth_dev_rx_intr_disable(client, 0), 0);
	rte_pktmbuf_free_bulk(all, count);
	CHECK_EQ(rte_eth_rx_burst(client, 0, &all[0], 1), 0);
	CHECK_EQ(rte_eth_dev_rx_intr_enable(client, 0), 0);
	CHECK_EQ(poll(&file, 1, 0), 0);
	for (unsigned int i = 0; i < SLOTS; i++)
		CHECK(is_intact(packets[i], LENGTH));
	rte_pktmbuf_free_bulk(packets, SLOTS);
	CHECK_EQ(send_packets(server, 0, 1, LENGTH), 1);
	CHECK_EQ(poll(&file, 1, PATIENCE_MS), 1);
	CHECK_EQ(take_packets(client, 0, 32, LENGTH), 1);
}

const struct test_case kept_cases[] = {
	{ "kept-fast-free", fast_free },
	{ "kept-fast-free-of-lent", fast_free_of_lent },
	{ "kept-free-threshold", free_threshold },
	{ "kept-empty-burst", empty_burst },
	{ "kept-done-cleanup", done_cleanup },
	{ "kept-shared-rings", shared_rings },
	{ "kept-asleep", asleep },
	{ "kept-asleep-without-mbufs", asleep_without_mbufs },
	{ NULL, NULL },
};

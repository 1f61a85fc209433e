/* SPDX-License-Identifier: BSD-3-Clause */

/* Queues that are started and stopped one by one, also while another lcore polls them. */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include "check.h"

#define LENGTH 100
#define LONG 1500
#define PATIENCE_MS 10000

static const struct setup plain = { 0 };
static const struct setup two = { .rxq = 2, .txq = 2 };

static uint8_t
rx_state(uint16_t port, uint16_t queue)
{
	struct rte_eth_rxq_info info;

	return rte_eth_rx_queue_info_get(port, queue, &info) == 0 ? info.queue_state : UINT8_MAX;
}

static uint8_t
tx_state(uint16_t port, uint16_t queue)
{
	struct rte_eth_txq_info info;

	return rte_eth_tx_queue_info_get(port, queue, &info) == 0 ? info.queue_state : UINT8_MAX;
}

/* Queue 0 of each kind moves nothing, queue 1 does; what the peer sends to queue 0 waits there. */
static void
only_queue_1(const struct pair *pair)
{
	uint16_t port = pair->port.id, peer = pair->peer.id;

	CHECK_EQ(rx_state(port, 0), RTE_ETH_QUEUE_STATE_STOPPED);
	CHECK_EQ(tx_state(port, 0), RTE_ETH_QUEUE_STATE_STOPPED);
	CHECK_EQ(rx_state(port, 1), RTE_ETH_QUEUE_STATE_STARTED);
	CHECK_EQ(tx_state(port, 1), RTE_ETH_QUEUE_STATE_STARTED);
	CHECK_EQ(send_packets(peer, 0, 5, LENGTH), 5);
	CHECK_EQ(take_packets(port, 0, 32, LENGTH), 0);
	CHECK_EQ(rte_eth_rx_queue_count(port, 0), 0);
	CHECK_EQ(rte_eth_rx_descriptor_status(port, 0, 0), RTE_ETH_RX_DESC_UNAVAIL);
	CHECK_EQ(send_packets(port, 0, 7, LENGTH), 0);
	CHECK_EQ(rte_eth_tx_descriptor_status(port, 0, 0), RTE_ETH_TX_DESC_UNAVAIL);
	CHECK_EQ(send_packets(peer, 1, 3, LENGTH), 3);
	CHECK_EQ(take_packets(port, 1, 32, LENGTH), 3);
	CHECK_EQ(send_packets(port, 1, 4, LENGTH), 4);
	CHECK_EQ(take_packets(pair->peer.id, 1, 32, LENGTH), 4);
}

/* Both queues work, and queue 0 has so many packets that waited. */
static void
both_queues(const struct pair *pair, uint16_t waiting)
{
	uint16_t port = pair->port.id;

	CHECK_EQ(take_packets(port, 0, 32, LENGTH), waiting);
	for (uint16_t i = 0; i < 2; i++) {
		CHECK_EQ(rx_state(port, i), RTE_ETH_QUEUE_STATE_STARTED);
		CHECK_EQ(tx_state(port, i), RTE_ETH_QUEUE_STATE_STARTED);
		CHECK_EQ(send_packets(pair->peer.id, i, 3, LENGTH), 3);
		CHECK_EQ(take_packets(port, i, 32, LENGTH), 3);
		CHECK_EQ(send_packets(port, i, 4, LENGTH), 4);
		CHECK_EQ(take_packets(pair->peer.id, i, 32, LENGTH), 4);
	}
}

static void
stop_queue_0(uint16_t port)
{
	CHECK_EQ(rte_eth_dev_rx_queue_stop(port, 0), 0);
	CHECK_EQ(rte_eth_dev_tx_queue_stop(port, 0), 0);
	/* Twice is as good as once. */
	CHECK_EQ(rte_eth_dev_rx_queue_stop(port, 0), 0);
}

static void
start_queue_0(uint16_t port)
{
	CHECK_EQ(rte_eth_dev_rx_queue_start(port, 0), 0);
	CHECK_EQ(rte_eth_dev_tx_queue_start(port, 0), 0);
	CHECK_EQ(rte_eth_dev_rx_queue_start(port, 0), 0);
}

static void
deferred_start(struct pair *pair)
{
	const struct setup deferred = { .rxq = 2, .txq = 2, .deferred = true };
	struct rte_eth_rxq_info rx;
	struct rte_eth_txq_info tx;
	uint16_t port;

	CHECK_EQ(pair_up(pair, "", &deferred, &two), 0);
	port = pair->port.id;
	for (int round = 0; round < 3; round++) {
		/* A queue that only comes with its own start does so after each start of the port. */
		CHECK_EQ(rx_state(port, 1), RTE_ETH_QUEUE_STATE_STOPPED);
		CHECK_EQ(tx_state(port, 1), RTE_ETH_QUEUE_STATE_STOPPED);
		CHECK_EQ(rte_eth_rx_queue_info_get(port, 0, &rx), 0);
		CHECK_EQ(rx.conf.rx_deferred_start, 1);
		CHECK_EQ(rte_eth_tx_queue_info_get(port, 0, &tx), 0);
		CHECK_EQ(tx.conf.tx_deferred_start, 1);
		CHECK_EQ(rte_eth_dev_rx_queue_start(port, 1), 0);
		CHECK_EQ(rte_eth_dev_tx_queue_start(port, 1), 0);
		STEP(only_queue_1(pair));
		STEP(start_queue_0(port));
		STEP(both_queues(pair, 5));
		CHECK_EQ(rte_eth_dev_stop(port), 0);
		CHECK_EQ(rx_state(port, 0), RTE_ETH_QUEUE_STATE_STOPPED);
		CHECK_EQ(rte_eth_dev_rx_queue_start(port, 0), -EINVAL);
		CHECK_EQ(rte_eth_dev_tx_queue_start(port, 0), -EINVAL);
		CHECK_EQ(rte_eth_dev_rx_queue_stop(port, 0), 0);
		CHECK_EQ(rte_eth_dev_tx_queue_stop(port, 0), 0);
		CHECK_EQ(rte_eth_dev_start(port), 0);
		CHECK(pair_wait_link(pair, true));
	}
	/* The peer, whose queues are plain, has not been asked for any of this. */
	CHECK_EQ(rte_eth_rx_queue_info_get(pair->peer.id, 0, &rx), 0);
	CHECK_EQ(rx.conf.rx_deferred_start, 0);
}

/* A stop holds over connections that come and go, until the queue or the port is started. */
static void
stop_and_start(struct pair *pair)
{
	uint16_t port;

	CHECK_EQ(pair_up(pair, "", &two, &two), 0);
	port = pair->port.id;
	for (int round = 0; round < 3; round++) {
		STEP(stop_queue_0(port));
		STEP(only_queue_1(pair));
		STEP(start_queue_0(port));
		STEP(both_queues(pair, 5));
	}
	STEP(stop_queue_0(port));
	for (int round = 0; round < 3; round++) {
		CHECK_EQ(rte_eth_dev_stop(pair->peer.id), 0);
		CHECK(pair_wait_link(pair, false));
		CHECK_EQ(rte_eth_dev_start(pair->peer.id), 0);
		CHECK(pair_wait_link(pair, true));
		STEP(only_queue_1(pair));
	}
	/* Started without a connection, it works with the next one. */
	CHECK_EQ(rte_eth_dev_stop(pair->peer.id), 0);
	CHECK(pair_wait_link(pair, false));
	STEP(start_queue_0(port));
	CHECK_EQ(send_packets(port, 0, 1, LENGTH), 0);
	STEP(stop_queue_0(port));
	STEP(start_queue_0(port));
	CHECK_EQ(rte_eth_dev_start(pair->peer.id), 0);
	CHECK(pair_wait_link(pair, true));
	STEP(both_queues(pair, 0));
	STEP(stop_queue_0(port));
	CHECK_EQ(rte_eth_dev_stop(port), 0);
	CHECK_EQ(rte_eth_dev_start(port), 0);
	CHECK(pair_wait_link(pair, true));
	STEP(both_queues(pair, 0));
}

/* Three transmit queues on one ring; and on a server, one receive queue for four rings. */
static void
stop_with_other_rings(struct pair *pair)
{
	const struct setup port_setup = { .txq = 3 }, peer_setup = { .txq = 4 },
			   four = { .rxq = 4 };
	struct end wide = { .role = "server", .name = "net_memif2" };
	uint16_t port, taken = 0;

	/* What a server announces is for all its ports on the socket. */
	CHECK_EQ(end_attach(pair, &wide, ",id=1"), 0);
	CHECK_EQ(end_configure(&wide, &four), 0);
	CHECK_EQ(pair_up(pair, "", &port_setup, &peer_setup), 0);
	port = pair->port.id;
	CHECK_EQ(rte_eth_dev_tx_queue_stop(port, 0), 0);
	CHECK_EQ(rte_eth_dev_tx_queue_stop(port, 2), 0);
	CHECK_EQ(send_packets(port, 0, 3, LENGTH) + send_packets(port, 2, 3, LENGTH), 0);
	CHECK_EQ(send_packets(port, 1, 3, LENGTH), 3);
	CHECK_EQ(rte_eth_dev_tx_queue_start(port, 2), 0);
	CHECK_EQ(send_packets(port, 2, 4, LENGTH), 4);
	CHECK_EQ(take_packets(pair->peer.id, 0, 32, LENGTH), 7);

	CHECK_EQ(rte_eth_dev_rx_queue_stop(port, 0), 0);
	for (uint16_t i = 0; i < 4; i++)
		CHECK_EQ(send_packets(pair->peer.id, i, 2, LENGTH), 2);
	CHECK_EQ(take_packets(port, 0, 32, LENGTH), 0);
	CHECK_EQ(rte_eth_dev_rx_queue_start(port, 0), 0);
	while (taken < 8) {
		CHECK_EQ(take_packets(port, 0, 1, LENGTH), 1);
		taken++;
	}
	end_detach(&wide);
}

/* No interrupt while the queue is stopped; one for what has come meanwhile. */
static void
stop_with_interrupts(struct pair *pair)
{
	const struct setup setup = { .rx_interrupts = true };
	struct pollfd file = { .events = POLLIN };
	uint16_t port;

	CHECK_EQ(pair_up(pair, "", &setup, &plain), 0);
	port = pair->port.id;
	file.fd = rte_eth_dev_rx_intr_ctl_q_get_fd(port, 0);
	CHECK(file.fd >= 0);
	for (int round = 0; round < 5; round++) {
		CHECK_EQ(rte_eth_dev_rx_intr_enable(port, 0), 0);
		CHECK_EQ(rte_eth_dev_rx_queue_stop(port, 0), 0);
		CHECK_EQ(send_packets(pair->peer.id, 0, 3, LENGTH), 3);
		CHECK_EQ(poll(&file, 1, 10), 0);
		CHECK_EQ(rte_eth_dev_rx_queue_start(port, 0), 0);
		CHECK_EQ(poll(&file, 1, PATIENCE_MS), 1);
		CHECK_EQ(rte_eth_dev_rx_intr_disable(port, 0), 0);
		CHECK_EQ(take_packets(port, 0, 32, LENGTH), 3);
		CHECK_EQ(rte_eth_dev_rx_intr_enable(port, 0), 0);
		CHECK_EQ(poll(&file, 1, 0), 0);
		CHECK_EQ(send_packets(pair->peer.id, 0, 2, LENGTH), 2);
		CHECK_EQ(poll(&file, 1, PATIENCE_MS), 1);
		CHECK_EQ(rte_eth_dev_rx_intr_disable(port, 0), 0);
		CHECK_EQ(take_packets(port, 0, 32, LENGTH), 2);
	}
	CHECK_EQ(rte_eth_dev_rx_intr_ctl_q_get_fd(port, 0), file.fd);
}

/* What the other lcore does until it is told to end. */
struct load {
	const struct pair *pair;
	bool over;
	bool failed;
};

static int
move_packets(void *arg)
{
	struct load *load = arg;
	uint16_t port = load->pair->port.id, peer = load->pair->peer.id;
	uint32_t sent = 0, taken = 0;

	while (!__atomic_load_n(&load->over, __ATOMIC_ACQUIRE)) {
		sent += send_packets(peer, 0, 64, LONG);
		taken += take_packets(port, 0, 64, LONG);
		sent += send_packets(port, 0, 64, LONG);
		taken += take_packets(peer, 0, 64, LONG);
	}
	/* All queues are started again: nothing has been lost. */
	for (int i = 0; i < 100; i++)
		taken += take_packets(port, 0, 64, LONG) + take_packets(peer, 0, 64, LONG);
	load->failed = taken != sent;
	return 0;
}

static uint64_t
moved(uint16_t port, bool transmit)
{
	struct rte_eth_stats stats = { 0 };

	rte_eth_stats_get(port, &stats);
	return transmit ? stats.opackets : stats.ipackets;
}

static void
wait_moving(uint16_t port, bool transmit)
{
	uint64_t before = moved(port, transmit);

	for (int i = 0; moved(port, transmit) == before; i++) {
		CHECK(i < PATIENCE_MS * 10);
		rte_delay_us_sleep(100);
	}
}

/* After a stop has returned no burst counts anything more: none is under way. */
static void
stop_moving_queues(const struct pair *pair)
{
	uint16_t port = pair->port.id;
	uint64_t before;

	for (int round = 0; round < 300; round++) {
		STEP(wait_moving(port, false));
		CHECK_EQ(rte_eth_dev_rx_queue_stop(port, 0), 0);
		before = moved(port, false);
		rte_delay_us_block(100);
		CHECK_EQ(moved(port, false), before);
		CHECK_EQ(rte_eth_dev_rx_queue_start(port, 0), 0);
		STEP(wait_moving(port, true));
		CHECK_EQ(rte_eth_dev_tx_queue_stop(port, 0), 0);
		before = moved(port, true);
		rte_delay_us_block(100);
		CHECK_EQ(moved(port, true), before);
		CHECK_EQ(rte_eth_dev_tx_queue_start(port, 0), 0);
	}
}

static void
stop_under_traffic(struct pair *pair)
{
	unsigned int lcore = rte_get_next_lcore(rte_lcore_id(), 1, 0);
	struct load load = { .pair = pair };

	CHECK(lcore < RTE_MAX_LCORE);
	CHECK_EQ(pair_up(pair, "", &plain, &plain), 0);
	CHECK_EQ(rte_eal_remote_launch(move_packets, &load, lcore), 0);
	stop_moving_queues(pair);
	__atomic_store_n(&load.over, true, __ATOMIC_RELEASE);
	rte_eal_wait_lcore(lcore);
	CHECK(!load.failed);
}

/* A queue is stopped and started, and its peer leaves and comes, in any order. */
static void
stop_and_reconnect_under_traffic(struct pair *pair)
{
	unsigned int lcore = rte_get_next_lcore(rte_lcore_id(), 1, 0);
	struct load load = { .pair = pair };
	uint16_t port;

	CHECK(lcore < RTE_MAX_LCORE);
	CHECK_EQ(pair_up(pair, "", &plain, &plain), 0);
	port = pair->port.id;
	CHECK_EQ(rte_eal_remote_launch(move_packets, &load, lcore), 0);
	for (int round = 0; round < 200 && !case_has_failed(); round++) {
		rte_eth_dev_set_link_down(pair->peer.id);
		rte_eth_dev_rx_queue_stop(port, 0);
		rte_eth_dev_tx_queue_stop(port, 0);
		rte_eth_dev_set_link_up(pair->peer.id);
		rte_delay_us_block((unsigned int)(round % 8) * 200);
		rte_eth_dev_tx_queue_start(port, 0);
		rte_eth_dev_rx_queue_start(port, 0);
		if (round % 8 == 7 && pair_wait_link(pair, true)) {
			wait_moving(port, false);
			wait_moving(port, true);
		}
	}
	__atomic_store_n(&load.over, true, __ATOMIC_RELEASE);
	rte_eal_wait_lcore(lcore);
}

const struct test_case queue_start_cases[] = {
	{ "deferred-start", deferred_start },
	{ "stop-and-start", stop_and_start },
	{ "stop-with-other-rings", stop_with_other_rings },
	{ "stop-with-interrupts", stop_with_interrupts },
	{ "stop-under-traffic", stop_under_traffic },
	{ "stop-and-reconnect", stop_and_reconnect_under_traffic },
	{ NULL, NULL },
};

/* SPDX-License-Identifier: BSD-3-Clause */

/* Queues: what they say of their rings, before, during and after a connection. */

#include <errno.h>
#include <string.h>

#include <rte_ethdev.h>

#include "check.h"

#define SLOTS 256 /* rsize=8 */
#define LENGTH 100

static bool
is_client(const struct end *end)
{
	return strcmp(end->role, "client") == 0;
}

/* Unconnected, a port says its own rsize; connected, both say the client's. */
static void
ring_size(struct pair *pair)
{
	const struct setup two = { .rxq = 2, .txq = 2, .nb_desc = 77 };
	const char *own = ",rsize=6", *other = ",rsize=9";
	uint16_t connected = is_client(&pair->port) ? 64 : 512;

	CHECK_EQ(end_attach(pair, &pair->port, own), 0);
	CHECK_EQ(end_configure(&pair->port, &two), 0);
	CHECK_EQ(rte_eth_dev_start(pair->port.id), 0);
	CHECK_EQ(rx_slots(pair->port.id, 0), 64);
	CHECK_EQ(tx_slots(pair->port.id, 1), 64);

	CHECK_EQ(end_attach(pair, &pair->peer, other), 0);
	CHECK_EQ(end_configure(&pair->peer, &two), 0);
	CHECK_EQ(rte_eth_dev_start(pair->peer.id), 0);
	CHECK(pair_wait_link(pair, true));
	for (uint16_t i = 0; i < 2; i++) {
		CHECK_EQ(rx_slots(pair->port.id, i), connected);
		CHECK_EQ(tx_slots(pair->port.id, i), connected);
		CHECK_EQ(rx_slots(pair->peer.id, i), connected);
		CHECK_EQ(tx_slots(pair->peer.id, i), connected);
	}
	CHECK_EQ(rte_eth_dev_stop(pair->peer.id), 0);
	CHECK(pair_wait_link(pair, false));
	CHECK_EQ(rx_slots(pair->port.id, 0), 64);
}

/* Transmit queues beyond the rings share them; receive queues beyond them have none. */
static void
uneven_queues(struct pair *pair)
{
	const struct setup many = { .rxq = 3, .txq = 3 }, one = { 0 };
	/* A server has room for two rings at least, for Go's clients. */
	const uint16_t rings = strcmp(pair->port.role, "client") == 0 ? 2 : 1;

	CHECK_EQ(pair_up(pair, ",rsize=8", &many, &one), 0);
	for (uint16_t i = 0; i < 3; i++) {
		CHECK_EQ(tx_slots(pair->port.id, i), SLOTS);
		CHECK_EQ(rte_eth_tx_descriptor_status(pair->port.id, i, 0), RTE_ETH_TX_DESC_DONE);
	}
	CHECK_EQ(rx_slots(pair->port.id, 0), SLOTS);
	CHECK_EQ(rx_slots(pair->port.id, 2), 0);
	CHECK_EQ(rte_eth_rx_queue_count(pair->port.id, 2), 0);
	CHECK_EQ(rte_eth_rx_descriptor_status(pair->port.id, 2, 0), RTE_ETH_RX_DESC_UNAVAIL);
	CHECK_EQ(send_packets(pair->port.id, 2, 4, LENGTH), 4);
	for (uint16_t i = 0; i < 3; i++)
		CHECK_EQ(rte_eth_tx_descriptor_status(pair->port.id, i, SLOTS - 4),
				i % rings == 2 % rings ? RTE_ETH_TX_DESC_FULL :
							 RTE_ETH_TX_DESC_DONE);
}

static void
queue_info(struct pair *pair)
{
	const struct setup scatter = { .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER }, plain = { 0 };
	struct rte_eth_burst_mode mode;
	struct rte_eth_rxq_info rx;
	struct rte_eth_txq_info tx;

	CHECK_EQ(pair_up(pair, "", &scatter, &plain), 0);
	CHECK_EQ(rte_eth_rx_queue_info_get(pair->port.id, 0, &rx), 0);
	CHECK(rx.mp == mbufs);
	CHECK_EQ(rx.scattered_rx, 1);
	CHECK_EQ(rx.rx_buf_size, MBUF_ROOM);
	CHECK_EQ(rx.queue_state, RTE_ETH_QUEUE_STATE_STARTED);
	CHECK_EQ(rx.conf.offloads, RTE_ETH_RX_OFFLOAD_SCATTER);
	CHECK_EQ(rte_eth_rx_queue_info_get(pair->peer.id, 0, &rx), 0);
	CHECK_EQ(rx.scattered_rx, 0);
	CHECK_EQ(rx.conf.offloads, 0);
	CHECK_EQ(rte_eth_tx_queue_info_get(pair->port.id, 0, &tx), 0);
	CHECK_EQ(tx.conf.offloads, RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
	CHECK_EQ(tx.queue_state, RTE_ETH_QUEUE_STATE_STARTED);

	CHECK_EQ(rte_eth_rx_burst_mode_get(pair->port.id, 0, &mode), 0);
	CHECK(strstr(mode.info, pair->port.role) != NULL);
	CHECK_EQ(rte_eth_tx_burst_mode_get(pair->peer.id, 0, &mode), 0);
	CHECK(strstr(mode.info, pair->peer.role) != NULL);
	CHECK_EQ(rte_eth_tx_done_cleanup(pair->port.id, 0, 0), 0);
	CHECK_EQ(rte_eth_dev_stop(pair->port.id), 0);
	CHECK_EQ(rte_eth_rx_queue_info_get(pair->port.id, 0, &rx), 0);
	CHECK_EQ(rx.queue_state, RTE_ETH_QUEUE_STATE_STOPPED);
}

/* Every slot of both ends, when the port has so many packets to take. */
static void
check_slots(const struct pair *pair, uint16_t filled)
{
	uint16_t port = pair->port.id, peer = pair->peer.id;

	CHECK_EQ(rte_eth_rx_queue_count(port, 0), filled);
	for (uint16_t i = 0; i < SLOTS; i++) {
		CHECK_EQ(rte_eth_rx_descriptor_status(port, 0, i),
				i < filled ? RTE_ETH_RX_DESC_DONE : RTE_ETH_RX_DESC_AVAIL);
		CHECK_EQ(rte_eth_tx_descriptor_status(peer, 0, i),
				i < SLOTS - filled ? RTE_ETH_TX_DESC_DONE : RTE_ETH_TX_DESC_FULL);
	}
	CHECK_EQ(rte_eth_rx_descriptor_status(port, 0, SLOTS), -EINVAL);
	CHECK_EQ(rte_eth_tx_descriptor_status(peer, 0, SLOTS), -EINVAL);
}

static void
slots_in_use(struct pair *pair)
{
	const struct setup plain = { 0 }, scatter = { .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER };
	uint16_t port, peer;

	CHECK_EQ(pair_up(pair, ",rsize=8,bsize=256", &scatter, &plain), 0);
	port = pair->port.id;
	peer = pair->peer.id;
	/* Several times around the ring, and around 65536. */
	for (uint32_t round = 0; round < 600; round++) {
		if (round % 100 == 0)
			STEP(check_slots(pair, 0));
		CHECK_EQ(send_packets(peer, 0, 60, LENGTH), 60);
		if (round % 100 == 0)
			STEP(check_slots(pair, 60));
		CHECK_EQ(send_packets(peer, 0, 20, 3 * 256), 20);
		STEP(check_slots(pair, 120));
		CHECK_EQ(take_packets(port, 0, 60, LENGTH), 60);
		if (round % 100 == 0)
			STEP(check_slots(pair, 60));
		CHECK_EQ(take_packets(port, 0, 60, 3 * 256), 20);
	}
	while (send_packets(peer, 0, 32, LENGTH) == 32)
		;
	STEP(check_slots(pair, SLOTS));
	for (int i = 0; i < SLOTS / 32; i++)
		CHECK_EQ(take_packets(port, 0, 32, LENGTH), 32);
	STEP(check_slots(pair, 0));
}

/* Without a connection there are no slots; nothing is touched that is not there. */
static void
no_connection(struct pair *pair)
{
	const struct setup plain = { 0 };

	for (int round = 0; round < 3; round++) {
		CHECK_EQ(pair_up(pair, "", &plain, &plain), 0);
		CHECK_EQ(send_packets(pair->peer.id, 0, 8, LENGTH), 8);
		CHECK_EQ(rte_eth_rx_queue_count(pair->port.id, 0), 8);
		end_detach(&pair->peer);
		for (int ms = 0; rte_eth_rx_queue_count(pair->port.id, 0) != 0; ms++) {
			CHECK(ms < 2000);
			rte_delay_us_sleep(1000);
		}
		CHECK_EQ(rte_eth_rx_descriptor_status(pair->port.id, 0, 0),
				RTE_ETH_RX_DESC_UNAVAIL);
		CHECK_EQ(rte_eth_tx_descriptor_status(pair->port.id, 0, 0),
				RTE_ETH_TX_DESC_UNAVAIL);
		CHECK_EQ(rte_eth_tx_done_cleanup(pair->port.id, 0, 0), 0);
		end_detach(&pair->port);
	}
}

/* A burst on a queue that is not there would crash: such a port does not start. */
static void
missing_queue(struct pair *pair)
{
	const struct rte_eth_conf conf = { 0 };
	uint16_t port;

	CHECK_EQ(end_attach(pair, &pair->port, ""), 0);
	port = pair->port.id;
	CHECK_EQ(rte_eth_dev_configure(port, 2, 2, &conf), 0);
	CHECK_EQ(rte_eth_dev_start(port), -EINVAL);
	CHECK_EQ(rte_eth_rx_queue_setup(port, 0, 64, SOCKET_ID_ANY, NULL, mbufs), 0);
	CHECK_EQ(rte_eth_rx_queue_setup(port, 1, 64, SOCKET_ID_ANY, NULL, mbufs), 0);
	CHECK_EQ(rte_eth_tx_queue_setup(port, 1, 64, SOCKET_ID_ANY, NULL), 0);
	CHECK_EQ(rte_eth_dev_start(port), -EINVAL);
	CHECK_EQ(rte_eth_tx_queue_setup(port, 0, 64, SOCKET_ID_ANY, NULL), 0);
	CHECK_EQ(rte_eth_dev_start(port), 0);
}

const struct test_case queue_cases[] = {
	{ "ring-size", ring_size },
	{ "uneven-queues", uneven_queues },
	{ "queue-info", queue_info },
	{ "slots-in-use", slots_in_use },
	{ "no-connection", no_connection },
	{ "missing-queue", missing_queue },
	{ NULL, NULL },
};

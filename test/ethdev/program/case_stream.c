/* SPDX-License-Identifier: BSD-3-Clause */

/* A receiver stays behind a sender that streams, and behind nobody else. */

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "check.h"

#define BURST 32
#define ROUNDS 20000
#define LAG 128
#define PAUSE_US 1000 /* many times what anything may wait for */
#define LENGTH 64

/* One burst of the sender; returns how many were accepted. */
static uint16_t
send_burst(uint16_t port)
{
	struct rte_mbuf *packets[BURST];
	uint16_t sent;

	if (rte_pktmbuf_alloc_bulk(mbufs, packets, BURST) != 0)
		return 0;
	for (uint16_t i = 0; i < BURST; i++)
		packets[i]->pkt_len = packets[i]->data_len = LENGTH;
	sent = rte_eth_tx_burst(port, 0, packets, BURST);
	rte_pktmbuf_free_bulk(&packets[sent], BURST - sent);
	return sent;
}

static uint16_t
take_burst(uint16_t port)
{
	struct rte_mbuf *packets[BURST];
	uint16_t taken = rte_eth_rx_burst(port, 0, packets, BURST);

	rte_pktmbuf_free_bulk(packets, taken);
	return taken;
}

/*
 * A stream, of which the receiver is called as often as the sender: what it leaves in the ring at
 * most, and at the end.
 */
static void
stream(const struct pair *pair, uint32_t *most, uint32_t *left)
{
	*most = *left = 0;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		*left += send_burst(pair->peer.id);
		*left -= take_burst(pair->port.id);
		*most = RTE_MAX(*most, *left);
	}
}

/* At the end of the stream all comes, in full bursts. */
static void
distance(struct pair *pair)
{
	const struct setup plain = { 0 };
	uint32_t most, left, part;

	CHECK_EQ(pair_up(pair, "", &plain, &plain), 0);
	stream(pair, &most, &left);
	CHECK(most >= LAG);
	CHECK(most < LAG + 4 * BURST);
	CHECK_EQ(rte_eth_rx_queue_count(pair->port.id, 0), left);
	rte_delay_us_block(PAUSE_US);
	while (left != 0) {
		part = RTE_MIN(left, (uint32_t)BURST);
		CHECK_EQ(take_burst(pair->port.id), part);
		left -= part;
	}
	CHECK_EQ(take_burst(pair->port.id), 0);
}

static void
no_distance(struct pair *pair)
{
	const struct setup plain = { 0 };
	uint32_t most, left;

	CHECK_EQ(pair_up(pair, ",rx-lag=0", &plain, &plain), 0);
	stream(pair, &most, &left);
	CHECK_EQ(most, 0);
}

/* Full bursts, but not in a row: each is there at once. */
static void
pauses(struct pair *pair)
{
	const struct setup plain = { 0 };

	CHECK_EQ(pair_up(pair, "", &plain, &plain), 0);
	for (int round = 0; round < 1000; round++) {
		CHECK_EQ(send_burst(pair->peer.id), BURST);
		CHECK_EQ(take_burst(pair->port.id), BURST);
		rte_delay_us_block(10);
	}
}

const struct test_case stream_cases[] = {
	{ "stream-distance", distance },
	{ "stream-without-distance", no_distance },
	{ "stream-with-pauses", pauses },
	{ NULL, NULL },
};

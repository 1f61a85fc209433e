/* SPDX-License-Identifier: BSD-3-Clause */

#include <rte_ethdev.h>

#include "flow.h"
#include "packet.h"
#include "stop.h"
#include "wait.h"

#define POLLS_BEFORE 0.1 /* seconds */

/* A plain store that the reporting lcore may see at any time. */
static __rte_always_inline void
count_up(uint64_t *counter, uint64_t by)
{
	__atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED);
}

static __rte_always_inline bool
build(struct flow *flow, const struct flow_cfg *cfg, const bool check)
{
	const struct sizes *sizes = cfg->sizes;
	uint32_t place = (uint32_t)(flow->built % sizes->count);

	if (unlikely(!packet_take(cfg->pool, flow->pending, cfg->burst))) {
		count_up(&flow->count.no_mbuf, 1);
		return false;
	}
	for (uint16_t i = 0; i < cfg->burst; i++) {
		packet_set(flow->pending[i], sizes->length[place]);
		if (++place == sizes->count)
			place = 0;
		if (check)
			packet_stamp(flow->pending[i], flow->queue, flow->built + i);
	}
	flow->built += cfg->burst;
	flow->first = 0;
	flow->waiting = cfg->burst;
	return true;
}

/* What the driver does not take is offered again, so that no number is left out. */
static __rte_always_inline void
transmit(struct flow *flow, const struct flow_cfg *cfg, const bool check)
{
	uint16_t sent;

	if (flow->waiting == 0 && !build(flow, cfg, check))
		return;
	sent = rte_eth_tx_burst(flow->port, flow->queue, &flow->pending[flow->first],
			flow->waiting);
	flow->first = (uint16_t)(flow->first + sent);
	flow->waiting = (uint16_t)(flow->waiting - sent);
	count_up(&flow->count.tx_bursts, 1);
	count_up(&flow->count.tx, sent);
	if (flow->waiting != 0)
		count_up(&flow->count.tx_short, 1);
}

static void
check_number(struct flow *flow, const struct rte_mbuf *mbuf)
{
	struct packet_stamp stamp;

	if (!packet_read(mbuf, &stamp)) {
		count_up(&flow->count.broken, 1);
		return;
	}
	if (!flow->begun) {
		flow->begun = true;
		flow->due = stamp.number;
	}
	if (stamp.number < flow->due) {
		count_up(&flow->count.repeated, 1);
		return;
	}
	count_up(&flow->count.lost, stamp.number - flow->due);
	flow->due = stamp.number + 1;
}

static __rte_always_inline uint16_t
receive(struct flow *flow, const struct flow_cfg *cfg, struct rte_mbuf **mbufs, const bool check)
{
	uint16_t got = rte_eth_rx_burst(flow->port, flow->queue, mbufs, cfg->burst);
	uint64_t bytes = 0;

	count_up(&flow->count.rx_polls, 1);
	if (got == 0) {
		count_up(&flow->count.rx_empty, 1);
		return 0;
	}
	for (uint16_t i = 0; i < got; i++) {
		bytes += mbufs[i]->pkt_len;
		if (check)
			check_number(flow, mbufs[i]);
	}
	count_up(&flow->count.rx, got);
	count_up(&flow->count.rx_bytes, bytes);
	return got;
}

static __rte_always_inline void
receive_and_drop(struct flow *flow, const struct flow_cfg *cfg, const bool check)
{
	struct rte_mbuf *mbufs[FLOW_BURST_MAX];
	uint16_t got = receive(flow, cfg, mbufs, check);

	if (got != 0)
		packet_give_back(mbufs, got);
}

static __rte_always_inline void
send_back(struct flow *flow, const struct flow_cfg *cfg)
{
	struct rte_mbuf *mbufs[FLOW_BURST_MAX];
	uint16_t got = receive(flow, cfg, mbufs, false);
	uint16_t sent;

	if (got == 0)
		return;
	sent = rte_eth_tx_burst(flow->port, flow->queue, mbufs, got);
	count_up(&flow->count.tx_bursts, 1);
	count_up(&flow->count.tx, sent);
	if (unlikely(sent < got)) {
		count_up(&flow->count.tx_short, 1);
		count_up(&flow->count.dropped, (uint64_t)(got - sent));
		rte_pktmbuf_free_bulk(&mbufs[sent], (unsigned int)(got - sent));
	}
}

static __rte_always_inline void
serve(const struct flow_worker *worker, const enum flow_mode mode, const bool check)
{
	const struct flow_cfg *cfg = worker->cfg;

	while (!stop_wanted()) {
		for (unsigned int i = 0; i < worker->count; i++) {
			if (mode == FLOW_IO)
				send_back(worker->flow[i], cfg);
			if (mode == FLOW_RX || mode == FLOW_BOTH)
				receive_and_drop(worker->flow[i], cfg, check);
			if (mode == FLOW_TX || mode == FLOW_BOTH)
				transmit(worker->flow[i], cfg, check);
		}
	}
}

/*
 * Packets to toss. First both ends poll for a moment: a client that posts its buffers when it polls
 * for the first time, as that of DPDK does, would lose all that is sent back to it before.
 */
static void
inject(const struct flow_worker *worker)
{
	const struct flow_cfg *cfg = worker->cfg;
	struct wait_clock clock = wait_begin(POLLS_BEFORE);

	while (!wait_is_over(&clock) && !stop_wanted())
		for (unsigned int i = 0; i < worker->count; i++)
			send_back(worker->flow[i], cfg);
	for (unsigned int i = 0; i < worker->count; i++) {
		for (unsigned int k = 0; k < cfg->inject && worker->flow[i]->waiting == 0; k++)
			transmit(worker->flow[i], cfg, false);
		flow_drop_pending(worker->flow[i]);
	}
}

int
flow_run(void *arg)
{
	const struct flow_worker *worker = arg;
	bool check = worker->cfg->check;

	/* One body each, with mode and check as constants. */
	switch (worker->cfg->mode) {
	case FLOW_TX:
		check ? serve(worker, FLOW_TX, true) : serve(worker, FLOW_TX, false);
		break;
	case FLOW_RX:
		check ? serve(worker, FLOW_RX, true) : serve(worker, FLOW_RX, false);
		break;
	case FLOW_BOTH:
		check ? serve(worker, FLOW_BOTH, true) : serve(worker, FLOW_BOTH, false);
		break;
	case FLOW_IO:
		inject(worker);
		serve(worker, FLOW_IO, false);
		break;
	}
	return 0;
}

void
flow_add(struct flow_count *sum, const struct flow *flow)
{
	const uint64_t *from = (const uint64_t *)&flow->count;
	uint64_t *to = (uint64_t *)sum;

	_Static_assert(sizeof(*sum) % sizeof(*to) == 0, "nothing but counters");
	for (unsigned int i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void
flow_drop_pending(struct flow *flow)
{
	if (flow->waiting != 0)
		packet_give_back(&flow->pending[flow->first], flow->waiting);
	flow->waiting = 0;
}

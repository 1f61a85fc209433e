/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include "held.h"
#include "poller.h"

#define BURST 32
#define PACKET 64

/*
 * Turns without a packet before the core is left to others. Not by sched_yield(): Linux 6.18 then
 * lets one thread that never sleeps have the core for seconds.
 */
#define IDLE_TURNS 32
#define NAP_US 20

struct slot {
	atomic_bool on;
	uint16_t first, end; /* queues */
	atomic_ullong first_packet;
};

static struct slot slots[RTE_MAX_ETHPORTS];
static struct rte_mempool *pool;
static atomic_uint mode = POLL_LOAD;
static atomic_uint length = PACKET;
static atomic_bool ending;
static atomic_ullong turns;
static unsigned int lcore = RTE_MAX_LCORE;

uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint16_t
make_packets(struct rte_mbuf **mbufs)
{
	static uint8_t number;
	uint16_t bytes = (uint16_t)atomic_load(&length);

	if (rte_pktmbuf_alloc_bulk(pool, mbufs, BURST) != 0)
		return 0;
	for (int i = 0; i < BURST; i++)
		memset(rte_pktmbuf_append(mbufs[i], bytes), number++, bytes);
	return BURST;
}

static bool
poll_queue(struct slot *slot, uint16_t port, uint16_t queue, enum poll_mode how)
{
	struct rte_mbuf *mbufs[BURST];
	uint16_t received = rte_eth_rx_burst(port, queue, mbufs, BURST);
	uint16_t count = received, sent = 0;

	if (received != 0 && atomic_load_explicit(&slot->first_packet, memory_order_relaxed) == 0)
		atomic_store(&slot->first_packet, now_ns());
	if (how == POLL_LOAD) {
		rte_pktmbuf_free_bulk(mbufs, count);
		count = make_packets(mbufs);
	}
	if (how == POLL_HOLD) {
		if (received != 0)
			held_add(mbufs, received);
		return received != 0;
	}
	if (how != POLL_SINK && count != 0)
		sent = rte_eth_tx_burst(port, queue, mbufs, count);
	rte_pktmbuf_free_bulk(&mbufs[sent], count - sent);
	return received + sent != 0;
}

static int
poll_ports(void *arg)
{
	unsigned int idle = 0;
	enum poll_mode how;
	bool moved;

	RTE_SET_USED(arg);
	while (!atomic_load(&ending)) {
		how = atomic_load(&mode);
		moved = false;
		for (uint16_t port = 0; port < RTE_MAX_ETHPORTS; port++) {
			if (!atomic_load(&slots[port].on))
				continue;
			for (uint16_t queue = slots[port].first; queue < slots[port].end; queue++)
				moved |= poll_queue(&slots[port], port, queue, how);
		}
		atomic_fetch_add(&turns, 1);
		idle = moved ? 0 : idle + 1;
		if (idle > IDLE_TURNS)
			usleep(NAP_US);
	}
	return 0;
}

int
poller_start(struct rte_mempool *mbufs)
{
	pool = mbufs;
	lcore = rte_get_next_lcore(-1, 1, 0);
	return lcore == RTE_MAX_LCORE ? -ENODEV : rte_eal_remote_launch(poll_ports, NULL, lcore);
}

void
poller_stop(void)
{
	atomic_store(&ending, true);
	rte_eal_wait_lcore(lcore);
}

void
poller_set_mode(enum poll_mode wanted)
{
	atomic_store(&mode, wanted);
}

void
poller_set_length(uint16_t wanted)
{
	atomic_store(&length, wanted);
}

void
poller_add(uint16_t port, uint16_t first, uint16_t queues)
{
	slots[port].first = first;
	slots[port].end = (uint16_t)(first + queues);
	atomic_store(&slots[port].first_packet, 0);
	atomic_store(&slots[port].on, true);
}

void
poller_remove(uint16_t port)
{
	uint64_t seen;

	if (!atomic_exchange(&slots[port].on, false))
		return;
	seen = atomic_load(&turns);
	/* The turn that is under way may have seen it on; the one after it has not. */
	while (!atomic_load(&ending) && atomic_load(&turns) < seen + 2)
		usleep(NAP_US);
}

uint64_t
poller_first_packet(uint16_t port, bool forget)
{
	return forget ? atomic_exchange(&slots[port].first_packet, 0) :
			atomic_load(&slots[port].first_packet);
}

uint64_t
poller_turns(void)
{
	return atomic_load(&turns);
}

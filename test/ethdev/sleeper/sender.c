/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_pause.h>

#include "sleeper.h"

#define LENGTH (RTE_ETHER_HDR_LEN + (uint32_t)sizeof(struct stamp))
#define LINK_NS UINT64_C(10000000000)
#define POLL_NS UINT64_C(1000000)
/*
 * A sleeper that has not answered for so long has not woken up, however busy the machine is: where the
 * scheduler shares CPUs among sessions (autogroup), a thread that seldom runs has waited for 4 s. Only
 * time in which this thread ran counts: who has stopped it may have stopped the sleeper as well.
 */
#define ANSWER_NS UINT64_C(20000000000)
#define STEP_NS UINT64_C(1000000)
#define LOST_MAX 2 /* wake-ups, at which it ends */

struct sender {
	uint16_t port;
	uint16_t queues;
	struct rte_mempool *mbufs;
	uint64_t random;
	uint32_t run;
	uint64_t sent;
	uint64_t answered;
	uint64_t lost_wake_ups; /* packets that the sleeper had only when the next one was sent */
	uint64_t late;		/* others without an answer in time: the machine was busy */
	uint64_t last_received_ns;
	uint64_t lost_packets;
	uint64_t wrong;
	struct times round_trips;
};

/* xorshift64*: the same pauses for the same seed. */
static uint32_t
next_random(struct sender *sender)
{
	sender->random ^= sender->random >> 12;
	sender->random ^= sender->random << 25;
	sender->random ^= sender->random >> 27;
	return (uint32_t)((sender->random * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

static void
spin(uint64_t ns)
{
	uint64_t end = now_ns() + ns;

	while (now_ns() < end)
		rte_pause();
}

static bool
send_one(struct sender *sender, uint16_t queue)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(sender->mbufs);
	struct stamp *stamp;
	uint8_t *data;

	if (mbuf == NULL)
		return false;
	data = (uint8_t *)rte_pktmbuf_append(mbuf, LENGTH);
	if (data == NULL) {
		rte_pktmbuf_free(mbuf);
		return false;
	}
	memset(data, 0, LENGTH);
	data[0] = 2;
	stamp = (struct stamp *)(void *)(data + RTE_ETHER_HDR_LEN);
	*stamp = (struct stamp){
		.magic = STAMP_MAGIC,
		.run = sender->run,
		.number = sender->sent,
		.sent_ns = now_ns(),
	};
	if (rte_eth_tx_burst(sender->port, queue, &mbuf, 1) != 1) {
		rte_pktmbuf_free(mbuf);
		return false;
	}
	sender->sent++;
	return true;
}

static void
take_answer(struct sender *sender, const struct rte_mbuf *mbuf)
{
	const struct stamp *stamp = rte_pktmbuf_mtod_offset(mbuf, const struct stamp *,
			RTE_ETHER_HDR_LEN);

	/* One queue at a time, so answers come in order. */
	if (mbuf->pkt_len != LENGTH || stamp->magic != STAMP_MAGIC || stamp->run != sender->run ||
			stamp->number != sender->answered) {
		sender->wrong++;
		return;
	}
	sender->answered++;
	if (sender->last_received_ns == 0)
		sender->last_received_ns = stamp->received_ns;
	times_add(&sender->round_trips, now_ns() - stamp->sent_ns);
}

static bool
wait_for_answers(struct sender *sender)
{
	uint64_t before = now_ns(), waited = 0, now;
	struct rte_mbuf *mbufs[BURST];
	uint16_t count;

	while (sender->answered < sender->sent && waited < ANSWER_NS) {
		now = now_ns();
		waited += RTE_MIN(now - before, STEP_NS);
		before = now;
		for (uint16_t queue = 0; queue < sender->queues; queue++) {
			count = rte_eth_rx_burst(sender->port, queue, mbufs, BURST);
			for (uint16_t i = 0; i < count; i++)
				take_answer(sender, mbufs[i]);
			rte_pktmbuf_free_bulk(mbufs, count);
		}
	}
	return sender->answered == sender->sent;
}

/*
 * Does one more packet on the queue bring the answers? If the sleeper had the first one only then,
 * nobody had woken it up. Returns whether to go on.
 */
static bool
find_out(struct sender *sender, uint16_t queue)
{
	uint64_t begin = now_ns();

	fprintf(stderr, "mif-intr: packet %lu has no answer\n", sender->answered);
	sender->last_received_ns = 0;
	if (!send_one(sender, queue) || !wait_for_answers(sender)) {
		sender->lost_packets += sender->sent - sender->answered;
		return false;
	}
	if (sender->last_received_ns >= begin) {
		fprintf(stderr, "mif-intr: LOST WAKE-UP: it came with the answer to the next one\n");
		return ++sender->lost_wake_ups < LOST_MAX;
	}
	fprintf(stderr, "mif-intr: the sleeper had had it %lu ms before\n",
			(begin - sender->last_received_ns) / 1000000);
	sender->late++;
	return true;
}

/*
 * The sleeper goes to sleep after each answer: at once is the moment when a wake-up can be lost, and
 * so is a little later; after some microseconds more it sleeps.
 */
static void
pause_a_while(struct sender *sender)
{
	uint32_t kind = next_random(sender) % 100;

	if (kind < 50)
		return;
	if (kind < 90)
		spin(next_random(sender) % 20000);
	else if (kind < 99)
		spin(next_random(sender) % 100000);
	else
		rte_delay_us_sleep(500);
}

/* A client of the stock driver offers its buffers by polling: not before, and not all at once. */
static void
poll_for(struct sender *sender, uint64_t ns)
{
	struct rte_mbuf *mbufs[BURST];
	uint64_t end = now_ns() + ns;
	uint16_t count;

	while (now_ns() < end) {
		for (uint16_t queue = 0; queue < sender->queues; queue++) {
			count = rte_eth_rx_burst(sender->port, queue, mbufs, BURST);
			rte_pktmbuf_free_bulk(mbufs, count);
			sender->wrong += count;
		}
	}
}

static bool
wait_link(struct sender *sender)
{
	uint64_t end = now_ns() + LINK_NS;
	struct rte_eth_link link;

	while (now_ns() < end) {
		if (rte_eth_link_get_nowait(sender->port, &link) == 0 && link.link_status) {
			poll_for(sender, POLL_NS);
			return true;
		}
		rte_delay_us_sleep(1000);
	}
	fprintf(stderr, "mif-intr: no link\n");
	return false;
}

static void
report(struct sender *sender, uint64_t begin_ns)
{
	printf("{\"sent\": %lu, \"answered\": %lu, \"lost_wake_ups\": %lu, \"lost_packets\": %lu, "
	       "\"wrong\": %lu, \"late\": %lu, \"seconds\": %.3f, ",
			sender->sent, sender->answered, sender->lost_wake_ups, sender->lost_packets,
			sender->wrong, sender->late, (double)(now_ns() - begin_ns) / 1e9);
	times_print(&sender->round_trips, "round_trip_ns");
	printf("}\n");
}

int
run_sender(uint16_t port, const struct options *options, struct rte_mempool *mbufs)
{
	struct sender sender = {
		.port = port,
		.queues = options->queues,
		.mbufs = mbufs,
		.random = UINT64_C(0x9e3779b97f4a7c15) * (options->seed + 1),
		.run = (uint32_t)now_ns(),
	};
	uint64_t begin = now_ns();
	uint16_t queue = 0;
	bool there = wait_link(&sender);

	while (there && sender.sent < options->count) {
		/* Up to three: the others come while the sleeper wakes up or lies down again. */
		for (uint32_t more = next_random(&sender) % 3 + 1; more > 0; more--) {
			if (!send_one(&sender, queue))
				break;
			spin(next_random(&sender) % 8000);
		}
		if (!wait_for_answers(&sender))
			there = find_out(&sender, queue);
		pause_a_while(&sender);
		queue = (uint16_t)((queue + 1) % sender.queues);
	}
	report(&sender, begin);
	return there && sender.lost_wake_ups == 0 && sender.wrong == 0 ? 0 : 1;
}

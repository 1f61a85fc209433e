/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "stop.h"
#include "worker.h"

/* Rounds without a packet before an idle core sleeps, if it may. */
#define IDLE_ROUNDS 256

static void
drop(struct worker *worker, unsigned int place, enum drop_reason reason, struct rte_mbuf *pkt)
{
	count_add(&worker->count[place].drop[reason], 1);
	rte_pktmbuf_free(pkt);
}

static uint16_t
transmit(struct worker *worker, const struct fwd_port *port, struct rte_mbuf **pkts, uint16_t count)
{
	uint16_t queue = (uint16_t)(worker->number % port->queues);
	uint16_t sent;

	if (port->tx_lock == NULL)
		return rte_eth_tx_burst(port->id, queue, pkts, count);
	rte_spinlock_lock(&port->tx_lock[queue]);
	sent = rte_eth_tx_burst(port->id, queue, pkts, count);
	rte_spinlock_unlock(&port->tx_lock[queue]);
	return sent;
}

/* Sends what the port takes; the rest waits, in order. */
static void
flush(struct worker *worker, unsigned int place)
{
	struct outbox *out = &worker->out[place];
	struct port_count *count = &worker->count[place];
	uint64_t bytes = 0, refused = 0;
	uint16_t sent;

	if (out->count == 0)
		return;
	for (uint16_t i = 0; i < out->count; i++)
		bytes += rte_pktmbuf_pkt_len(out->pkt[i]);
	/* What is sent is the driver's: only what is left may be looked at. */
	sent = transmit(worker, &worker->fwd->port[place], out->pkt, out->count);
	for (uint16_t i = sent; i < out->count; i++)
		refused += rte_pktmbuf_pkt_len(out->pkt[i]);
	out->count = (uint16_t)(out->count - sent);
	memmove(out->pkt, out->pkt + sent, out->count * sizeof(out->pkt[0]));
	count_add(&count->tx_packets, sent);
	count_add(&count->tx_bytes, bytes - refused);
}

static void
put(struct worker *worker, unsigned int place, struct rte_mbuf *pkt)
{
	struct outbox *out = &worker->out[place];

	if (out->count == OUTBOX) {
		drop(worker, place, DROP_FULL, pkt);
		return;
	}
	out->pkt[out->count++] = pkt;
	if (out->count % WORKER_BURST == 0)
		flush(worker, place);
}

/* To the port that the packet's flow has now. */
static void
put_memif(struct worker *worker, struct rte_mbuf *pkt)
{
	uint8_t memif = steer_pick(&worker->steer, pkt->hash.usr);

	if (memif == STEER_NONE)
		drop(worker, FWD_NET, DROP_NO_PEER, pkt);
	else
		put(worker, FWD_MEMIF + memif, pkt);
}

/* The port has lost its peer: what waits for it goes with its flows. */
static void
move(struct worker *worker, unsigned int place)
{
	struct outbox *out = &worker->out[place];
	struct rte_mbuf *pkt[OUTBOX];
	uint16_t count = out->count;

	memcpy(pkt, out->pkt, count * sizeof(pkt[0]));
	out->count = 0;
	for (uint16_t i = 0; i < count; i++)
		put_memif(worker, pkt[i]);
}

/* Before more packets come: links have changed, and so have the ports of flows. */
static void
follow_links(struct worker *worker)
{
	const struct fwd *fwd = worker->fwd;

	if (!steer_adopt(&worker->steer, &fwd->steer))
		return;
	for (unsigned int place = 0; place < fwd->ports; place++) {
		if (fwd_is_memif(fwd, place) && !steer_is_live(&worker->steer, place - FWD_MEMIF))
			move(worker, place);
	}
}

static void
flush_all(struct worker *worker)
{
	for (unsigned int place = 0; place < worker->fwd->ports; place++)
		flush(worker, place);
}

static void
from_network(struct worker *worker, struct rte_mbuf *pkt)
{
	const struct fwd *fwd = worker->fwd;

	if (classify(&fwd->config.filter, rte_pktmbuf_mtod(pkt, const uint8_t *),
			    rte_pktmbuf_data_len(pkt), &pkt->hash.usr))
		put_memif(worker, pkt);
	else if (fwd->kernel != 0)
		put(worker, fwd->kernel, pkt);
	else
		drop(worker, FWD_NET, DROP_NO_WAY, pkt);
}

static uint16_t
take(struct worker *worker, const struct source *source)
{
	struct port_count *count = &worker->count[source->place];
	struct rte_mbuf *pkts[WORKER_BURST];
	uint64_t bytes = 0;
	uint16_t n;

	n = rte_eth_rx_burst(worker->fwd->port[source->place].id, source->queue, pkts,
			WORKER_BURST);
	if (n == 0)
		return 0;
	for (uint16_t i = 0; i < n; i++) {
		bytes += rte_pktmbuf_pkt_len(pkts[i]);
		if (source->place == FWD_NET)
			from_network(worker, pkts[i]);
		else
			put(worker, FWD_NET, pkts[i]);
	}
	count_add(&count->rx_packets, n);
	count_add(&count->rx_bytes, bytes);
	return n;
}

static int
run(void *arg)
{
	struct worker *worker = arg;
	unsigned int sleep_us = (unsigned int)worker->fwd->config.sleep_us;
	uint64_t now, flushed = rte_rdtsc();
	unsigned int idle = 0, got;

	while (!stop_wanted()) {
		got = 0;
		follow_links(worker);
		for (unsigned int i = 0; i < worker->sources; i++)
			got += take(worker, &worker->source[i]);
		now = rte_rdtsc();
		/* Nothing comes: no burst fills. */
		if (got == 0 || now - flushed >= worker->flush_cycles) {
			flush_all(worker);
			flushed = now;
		}
		idle = got == 0 ? idle + 1 : 0;
		if (idle > IDLE_ROUNDS && sleep_us != 0)
			usleep(sleep_us);
	}
	flush_all(worker);
	return 0;
}

/* Queue after queue, port after port, to one worker after the other. */
static void
share_queues(struct fwd *fwd)
{
	struct worker *worker;
	unsigned int n = 0;

	for (unsigned int place = 0; place < fwd->ports; place++) {
		for (uint16_t q = 0; q < fwd->port[place].queues; q++) {
			worker = &fwd->worker[n++ % fwd->workers];
			worker->source[worker->sources++] = (struct source){ (uint8_t)place, q };
		}
	}
}

int
workers_make(struct fwd *fwd)
{
	size_t size = fwd->workers * sizeof(*fwd->worker);
	unsigned int queues = 0;

	for (unsigned int place = 0; place < fwd->ports; place++)
		queues += fwd->port[place].queues;
	fwd->worker = aligned_alloc(_Alignof(struct worker), size);
	if (fwd->worker == NULL)
		goto no_memory;
	memset(fwd->worker, 0, size);
	for (unsigned int i = 0; i < fwd->workers; i++) {
		fwd->worker[i].fwd = fwd;
		fwd->worker[i].number = i;
		steer_init(&fwd->worker[i].steer, fwd->steer.ports);
		fwd->worker[i].flush_cycles = (uint64_t)(fwd->config.flush_us *
				(double)rte_get_tsc_hz() / 1e6);
		fwd->worker[i].source = calloc(queues, sizeof(struct source));
		if (fwd->worker[i].source == NULL)
			goto no_memory;
	}
	share_queues(fwd);
	return 0;

no_memory:
	fprintf(stderr, "%s: no memory for the workers\n", program_name);
	return -ENOMEM;
}

void
workers_start(struct fwd *fwd)
{
	unsigned int lcore, n = 0;

	RTE_LCORE_FOREACH_WORKER(lcore) {
		rte_eal_remote_launch(run, &fwd->worker[n++], lcore);
	}
}

void
workers_end(void)
{
	rte_eal_mp_wait_lcore();
}

void
workers_free(struct fwd *fwd)
{
	for (unsigned int i = 0; fwd->worker != NULL && i < fwd->workers; i++) {
		for (unsigned int place = 0; place < fwd->ports; place++)
			rte_pktmbuf_free_bulk(fwd->worker[i].out[place].pkt,
					fwd->worker[i].out[place].count);
		free(fwd->worker[i].source);
	}
	free(fwd->worker);
	fwd->worker = NULL;
}

struct port_count
workers_count(const struct fwd *fwd, unsigned int place)
{
	const struct port_count *count;
	struct port_count sum = { 0 };

	for (unsigned int i = 0; i < fwd->workers; i++) {
		count = &fwd->worker[i].count[place];
		sum.rx_packets += count_read(&count->rx_packets);
		sum.rx_bytes += count_read(&count->rx_bytes);
		sum.tx_packets += count_read(&count->tx_packets);
		sum.tx_bytes += count_read(&count->tx_bytes);
		for (unsigned int reason = 0; reason < DROP_REASONS; reason++)
			sum.drop[reason] += count_read(&count->drop[reason]);
	}
	return sum;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#include "receiver.h"

int
receiver_init(struct receiver *r, const struct options *opt, uint16_t port_id)
{
	memset(r, 0, sizeof(*r));
	r->opt = opt;
	r->port_id = port_id;
	r->held = calloc(opt->hold + 1, sizeof(*r->held));
	return r->held ? 0 : -ENOMEM;
}

static void
note_problem(struct receiver *r, const char *text)
{
	if (r->problem[0] == '\0')
		snprintf(r->problem, sizeof(r->problem), "packet %lu: %s",
				(unsigned long)r->packets, text);
}

/* What ethdev promises about a received mbuf chain; NULL when it holds. */
static const char *
chain_problem(const struct rte_mbuf *m, uint16_t port_id)
{
	const struct rte_mbuf *seg;
	uint32_t length = 0;
	uint16_t n = 0;

	if (m->port != port_id)
		return "mbuf of another port";
	for (seg = m; seg; seg = seg->next) {
		if (rte_mbuf_refcnt_read(seg) != 1)
			return "reference count is not 1";
		if (seg->data_len == 0)
			return "empty segment";
		if (seg->data_off + seg->data_len > seg->buf_len)
			return "data reaches past its buffer";
		length += seg->data_len;
		n++;
	}
	if (n != m->nb_segs)
		return "nb_segs differs from the chain";
	if (length != m->pkt_len || length > PACKET_MAX_LEN)
		return "pkt_len differs from the sum of the segments";
	return NULL;
}

static void
check(struct receiver *r, uint16_t queue, const struct rte_mbuf *m)
{
	enum packet_verdict verdict;
	const struct rte_mbuf *seg;
	struct packet_info info;
	char text[EXPLAIN_TEXT];
	const char *problem;
	uint32_t length = 0;

	r->packets++;
	r->bytes += m->pkt_len;
	r->by_rxq[queue]++;
	problem = chain_problem(m, r->port_id);
	if (problem) {
		r->bad_mbuf++;
		note_problem(r, problem);
		return;
	}
	r->max_segs = RTE_MAX(r->max_segs, m->nb_segs);
	for (seg = m; seg; seg = seg->next) {
		memcpy(r->scratch + length, rte_pktmbuf_mtod(seg, void *), seg->data_len);
		length += seg->data_len;
	}
	verdict = packet_check(r->scratch, length, &info);
	r->verdicts[verdict]++;
	if (verdict != PACKET_OK) {
		packet_explain(r->scratch, length, &info, verdict, text, sizeof(text));
		note_problem(r, text);
		return;
	}
	if (info.queue >= MAX_QUEUES || (r->opt->peer_seed && info.seed != r->opt->peer_seed)) {
		r->wrong_seed++;
		note_problem(r, "not from the expected sender");
		return;
	}
	if (tracker_note(&r->from[info.queue], info.seq, length, queue) < 0)
		note_problem(r, "no memory to note it");
}

uint16_t
receiver_poll(struct receiver *r, uint16_t queue, struct rte_mbuf **pkts)
{
	uint16_t burst = size_list_pick(&r->opt->rx_bursts, r->bursts[queue]++);
	uint16_t n, i;

	n = rte_eth_rx_burst(r->port_id, queue, pkts, burst);
	if (n > burst) {
		r->bad_mbuf++;
		note_problem(r, "more packets than the burst has room for");
		n = burst;
	}
	for (i = 0; i < n; i++)
		check(r, queue, pkts[i]);
	return n;
}

void
receiver_release(struct receiver *r, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t i;

	if (r->opt->hold == 0) {
		rte_pktmbuf_free_bulk(pkts, n);
		return;
	}
	for (i = 0; i < n; i++) {
		if (r->n_held == r->opt->hold)
			receiver_release_all(r);
		r->held[r->n_held++] = pkts[i];
	}
}

void
receiver_release_all(struct receiver *r)
{
	rte_pktmbuf_free_bulk(r->held, r->n_held);
	r->n_held = 0;
}

bool
receiver_complete(const struct receiver *r)
{
	return r->opt->expect && r->packets >= r->opt->expect;
}

void
receiver_fini(struct receiver *r)
{
	unsigned int q;

	free(r->held);
	r->held = NULL;
	for (q = 0; q < MAX_QUEUES; q++)
		tracker_free(&r->from[q]);
}

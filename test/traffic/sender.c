/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include <rte_ethdev.h>

#include "sender.h"

void
sender_init(struct sender *s, const struct options *opt, struct mbuf_maker *maker, uint16_t port_id,
		uint16_t queue)
{
	memset(s, 0, sizeof(*s));
	s->opt = opt;
	s->maker = maker;
	s->port_id = port_id;
	s->queue = queue;
}

/* Hands over the first n pending packets; the refused ones move to the front. */
static uint16_t
offer(struct sender *s, uint16_t n)
{
	uint32_t length[MAX_BURST];
	uint16_t taken, i;

	for (i = 0; i < n; i++)
		length[i] = s->pending[i]->pkt_len;
	taken = rte_eth_tx_burst(s->port_id, s->queue, s->pending, n);
	for (i = 0; i < taken; i++)
		s->bytes += length[i];
	s->bursts++;
	s->sent += taken;
	s->refused += n - taken;
	s->n_pending -= taken;
	memmove(s->pending, s->pending + taken, s->n_pending * sizeof(s->pending[0]));
	return taken;
}

static void
fill(struct sender *s, uint16_t wanted)
{
	struct rte_mbuf *m;

	while (s->n_pending < wanted && s->next_seq < s->opt->count) {
		m = mbufs_make(s->maker, s->queue, s->next_seq);
		if (!m) {
			s->no_mbufs++;
			break;
		}
		s->pending[s->n_pending++] = m;
		s->next_seq++;
	}
}

uint16_t
sender_poll(struct sender *s)
{
	uint16_t burst = size_list_pick(&s->opt->bursts, s->bursts);
	uint16_t taken;

	fill(s, burst);
	taken = offer(s, RTE_MIN(burst, s->n_pending));
	if (!s->opt->retry && s->n_pending) {
		s->next_seq -= s->n_pending;
		sender_drop(s);
	}
	mbufs_reap(s->maker);
	return taken;
}

uint16_t
sender_forward(struct sender *s, struct rte_mbuf **pkts, uint16_t n)
{
	memcpy(s->pending, pkts, n * sizeof(pkts[0]));
	s->n_pending = n;
	return offer(s, n);
}

uint16_t
sender_flush(struct sender *s)
{
	return offer(s, s->n_pending);
}

bool
sender_done(const struct sender *s)
{
	return s->sent >= s->opt->count;
}

void
sender_drop(struct sender *s)
{
	rte_pktmbuf_free_bulk(s->pending, s->n_pending);
	s->n_pending = 0;
}

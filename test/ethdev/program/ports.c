/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "ports.h"

#define MBUFS 8191
#define LINK_MS 5000
#define BURST_MAX 64
/* With each burst sent, so that the next one's bytes are others. */
#define PATTERN(index) ((uint8_t)((index)*31 + 7))

struct rte_mempool *mbufs;

bool
ports_init(void)
{
	mbufs = rte_pktmbuf_pool_create("ethdev", MBUFS, 0, 0, MBUF_ROOM + RTE_PKTMBUF_HEADROOM,
			SOCKET_ID_ANY);
	if (mbufs == NULL)
		fprintf(stderr, "mif-ethdev: no memory for mbufs: %s\n", rte_strerror(rte_errno));
	return mbufs != NULL;
}

int
end_attach(struct pair *pair, struct end *end, const char *options)
{
	char devargs[256];
	int ret;

	snprintf(devargs, sizeof(devargs), "%s,role=%s,socket=%s%s", end->name, end->role,
			pair->socket, options);
	ret = rte_dev_probe(devargs);
	if (ret == 0)
		ret = rte_eth_dev_get_port_by_name(end->name, &end->id);
	end->attached = ret == 0;
	return ret;
}

int
end_configure(const struct end *end, const struct setup *setup)
{
	uint16_t rxq = setup->rxq != 0 ? setup->rxq : 1;
	uint16_t txq = setup->txq != 0 ? setup->txq : 1;
	uint16_t slots = setup->nb_desc != 0 ? setup->nb_desc : 64;
	const struct rte_eth_conf conf = {
		.rxmode = { .offloads = setup->rx_offloads, .mtu = setup->mtu },
		.txmode = { .offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | setup->tx_offloads },
		.intr_conf = { .rxq = setup->rx_interrupts },
	};
	const struct rte_eth_rxconf rx_conf = { .rx_deferred_start = setup->deferred };
	const struct rte_eth_txconf tx_conf = {
		.tx_deferred_start = setup->deferred,
		.tx_free_thresh = setup->tx_free_thresh,
	};
	struct rte_mempool *pool = setup->pool != NULL ? setup->pool : mbufs;
	int ret = rte_eth_dev_configure(end->id, rxq, txq, &conf);

	for (uint16_t i = 0; ret == 0 && i < rxq; i++)
		ret = rte_eth_rx_queue_setup(end->id, i, slots, SOCKET_ID_ANY, &rx_conf, pool);
	for (uint16_t i = 0; ret == 0 && i < txq; i++)
		ret = rte_eth_tx_queue_setup(end->id, i, slots, SOCKET_ID_ANY, &tx_conf);
	return ret;
}

void
end_detach(struct end *end)
{
	struct rte_eth_dev_info info;

	if (!end->attached)
		return;
	end->attached = false;
	if (rte_eth_dev_info_get(end->id, &info) != 0)
		return;
	rte_eth_dev_stop(end->id);
	rte_eth_dev_close(end->id);
	rte_dev_remove(info.device);
}

static int
end_up(struct pair *pair, struct end *end, const char *options, const struct setup *setup)
{
	int ret = end_attach(pair, end, options);

	if (ret == 0)
		ret = end_configure(end, setup);
	return ret == 0 ? rte_eth_dev_start(end->id) : ret;
}

int
pair_up(struct pair *pair, const char *options, const struct setup *port_setup,
		const struct setup *peer_setup)
{
	int ret = end_up(pair, &pair->port, options, port_setup);

	if (ret == 0)
		ret = end_up(pair, &pair->peer, options, peer_setup);
	if (ret == 0 && !pair_wait_link(pair, true))
		ret = -ETIMEDOUT;
	return ret;
}

struct end *
pair_end(struct pair *pair, const char *role)
{
	return strcmp(pair->port.role, role) == 0 ? &pair->port : &pair->peer;
}

uint16_t
server_of(struct pair *pair)
{
	return pair_end(pair, "server")->id;
}

uint16_t
client_of(struct pair *pair)
{
	return pair_end(pair, "client")->id;
}

void
pair_detach(struct pair *pair)
{
	end_detach(&pair->port);
	end_detach(&pair->peer);
}

int
pair_up_as(struct pair *pair, const char *server_options, const struct setup *server_setup,
		const char *client_options, const struct setup *client_setup)
{
	int ret = end_up(pair, pair_end(pair, "server"), server_options, server_setup);

	if (ret == 0)
		ret = end_up(pair, pair_end(pair, "client"), client_options, client_setup);
	if (ret == 0 && !pair_wait_link(pair, true))
		ret = -ETIMEDOUT;
	return ret;
}

static bool
link_is(uint16_t port, bool up)
{
	struct rte_eth_link link = { 0 };

	return rte_eth_link_get_nowait(port, &link) == 0 && link.link_status == up;
}

bool
pair_wait_link(const struct pair *pair, bool up)
{
	for (int ms = 0; ms < LINK_MS; ms++) {
		if (link_is(pair->port.id, up) && link_is(pair->peer.id, up))
			return true;
		rte_delay_us_sleep(1000);
	}
	return false;
}

bool
pair_wait_down(const struct end *end)
{
	for (int ms = 0; ms < LINK_MS; ms++) {
		if (link_is(end->id, false))
			return true;
		rte_delay_us_sleep(1000);
	}
	return false;
}

uint16_t
rx_slots(uint16_t port, uint16_t queue)
{
	struct rte_eth_rxq_info info;

	return rte_eth_rx_queue_info_get(port, queue, &info) == 0 ? info.nb_desc : UINT16_MAX;
}

uint16_t
tx_slots(uint16_t port, uint16_t queue)
{
	struct rte_eth_txq_info info;

	return rte_eth_tx_queue_info_get(port, queue, &info) == 0 ? info.nb_desc : UINT16_MAX;
}

unsigned int
mbufs_in_use(void)
{
	return rte_mempool_in_use_count(mbufs);
}

struct rte_mbuf *
new_packet(struct rte_mempool *pool, uint32_t length)
{
	struct rte_mbuf *head = NULL, *segment;
	uint32_t done = 0;
	uint16_t part;
	uint8_t *data;

	do {
		segment = rte_pktmbuf_alloc(pool);
		if (segment == NULL) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		part = (uint16_t)RTE_MIN(length - done, rte_pktmbuf_tailroom(segment));
		data = (uint8_t *)rte_pktmbuf_append(segment, part);
		for (uint16_t i = 0; i < part; i++)
			data[i] = PATTERN(done + i);
		done += part;
		if (head == NULL)
			head = segment;
		else if (rte_pktmbuf_chain(head, segment) != 0)
			rte_panic("a packet of %u bytes is too long\n", length);
	} while (done < length);
	return head;
}

uint16_t
send_packets_of(struct rte_mempool *pool, uint16_t port, uint16_t queue, uint16_t count,
		uint32_t length)
{
	struct rte_mbuf *packets[BURST_MAX];
	uint16_t sent;

	for (uint16_t i = 0; i < count; i++) {
		packets[i] = new_packet(pool, length);
		if (packets[i] == NULL)
			rte_panic("no mbufs left\n");
	}
	sent = rte_eth_tx_burst(port, queue, packets, count);
	if (sent < count)
		rte_pktmbuf_free_bulk(&packets[sent], count - sent);
	return sent;
}

uint16_t
send_packets(uint16_t port, uint16_t queue, uint16_t count, uint32_t length)
{
	return send_packets_of(mbufs, port, queue, count, length);
}

bool
is_intact(const struct rte_mbuf *packet, uint32_t length)
{
	uint32_t done = 0;
	const uint8_t *data;

	if (packet->pkt_len != length)
		return false;
	for (; packet != NULL; packet = packet->next) {
		data = rte_pktmbuf_mtod(packet, const uint8_t *);
		for (uint16_t i = 0; i < packet->data_len; i++) {
			if (data[i] != PATTERN(done + i))
				return false;
		}
		done += packet->data_len;
	}
	return done == length;
}

uint16_t
take_packets(uint16_t port, uint16_t queue, uint16_t count, uint32_t length)
{
	struct rte_mbuf *packets[BURST_MAX];
	uint16_t taken = rte_eth_rx_burst(port, queue, packets, count);

	for (uint16_t i = 0; i < taken; i++) {
		if (!is_intact(packets[i], length)) {
			fprintf(stderr, "packet %u of %u bytes is not what was sent\n", i,
					packets[i]->pkt_len);
			rte_pktmbuf_free_bulk(&packets[i], taken - i);
			return i;
		}
		rte_pktmbuf_free(packets[i]);
	}
	return taken;
}

uint64_t
xstat(uint16_t port, const char *name)
{
	uint64_t id, value;

	if (rte_eth_xstats_get_id_by_name(port, name, &id) != 0 ||
			rte_eth_xstats_get_by_id(port, &id, &value, 1) != 1)
		return UINT64_MAX;
	return value;
}

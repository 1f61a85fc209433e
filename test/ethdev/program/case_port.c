/* SPDX-License-Identifier: BSD-3-Clause */

/* The port: limits, MTU, addresses, reset, and how a new configuration follows an old one. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_ethdev.h>

#include "check.h"

#define MACS 64

static const struct setup plain = { 0 };

static void
limits(struct pair *pair)
{
	uint16_t rx_slots_wanted = 1, tx_slots_wanted = 65535;
	struct rte_eth_dev_info info;

	CHECK_EQ(end_attach(pair, &pair->port, ",rsize=7"), 0);
	CHECK_EQ(rte_eth_dev_info_get(pair->port.id, &info), 0);
	CHECK(strcmp(info.driver_name, "net_memif") == 0);
	CHECK_EQ(info.min_mtu, RTE_ETHER_MIN_MTU);
	CHECK_EQ(info.max_mtu, 65535);
	CHECK(info.max_rx_pktlen >= 65535 + RTE_ETHER_HDR_LEN);
	CHECK_EQ(info.max_rx_queues, 255);
	CHECK_EQ(info.max_tx_queues, 255);
	CHECK_EQ(info.max_mac_addrs, MACS);
	CHECK_EQ(info.rx_desc_lim.nb_max, 65535);
	CHECK_EQ(info.tx_desc_lim.nb_max, 65535);
	CHECK_EQ(info.rx_desc_lim.nb_align, 1);
	CHECK_EQ(info.default_rxportconf.ring_size, 128);
	CHECK_EQ(info.default_txportconf.ring_size, 128);
	CHECK_EQ(rte_eth_dev_get_supported_ptypes(pair->port.id, RTE_PTYPE_ALL_MASK, NULL, 0), 0);

	/* The number of descriptors is a hint: any will do. */
	CHECK_EQ(end_configure(&pair->port, &plain), 0);
	CHECK_EQ(rte_eth_dev_adjust_nb_rx_tx_desc(pair->port.id, &rx_slots_wanted,
				 &tx_slots_wanted),
			0);
	CHECK_EQ(rx_slots_wanted, 1);
	CHECK_EQ(tx_slots_wanted, 65535);
	for (uint16_t slots = 0; slots < 5; slots++)
		CHECK_EQ(rte_eth_rx_queue_setup(pair->port.id, 0, slots, SOCKET_ID_ANY, NULL,
					 mbufs),
				0);
	CHECK_EQ(rte_eth_tx_queue_setup(pair->port.id, 0, 65535, SOCKET_ID_ANY, NULL), 0);
}

static uint16_t
mtu_of(uint16_t port)
{
	uint16_t mtu = 0;

	return rte_eth_dev_get_mtu(port, &mtu) == 0 ? mtu : 0;
}

static void
mtu(struct pair *pair)
{
	const struct setup scatter = { .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mtu = 9000 };
	uint16_t port;

	CHECK_EQ(end_attach(pair, &pair->port, ""), 0);
	port = pair->port.id;
	CHECK_EQ(mtu_of(port), 1500);
	CHECK_EQ(end_configure(&pair->port, &plain), 0);
	CHECK_EQ(rte_eth_dev_set_mtu(port, RTE_ETHER_MIN_MTU - 1), -EINVAL);
	CHECK_EQ(rte_eth_dev_set_mtu(port, RTE_ETHER_MIN_MTU), 0);
	CHECK_EQ(rte_eth_dev_set_mtu(port, 65535), 0);
	CHECK_EQ(mtu_of(port), 65535);
	/* It starts, and says that longer packets will be dropped. */
	CHECK_EQ(rte_eth_dev_start(port), 0);
	CHECK_EQ(rte_eth_dev_set_mtu(port, MBUF_ROOM - RTE_ETHER_HDR_LEN + 1), -EINVAL);
	CHECK_EQ(mtu_of(port), 65535);
	CHECK_EQ(rte_eth_dev_set_mtu(port, MBUF_ROOM - RTE_ETHER_HDR_LEN), 0);
	CHECK_EQ(mtu_of(port), MBUF_ROOM - RTE_ETHER_HDR_LEN);
	CHECK_EQ(rte_eth_dev_stop(port), 0);
	CHECK_EQ(end_configure(&pair->port, &scatter), 0);
	CHECK_EQ(mtu_of(port), 9000);
	CHECK_EQ(rte_eth_dev_start(port), 0);
	CHECK_EQ(rte_eth_dev_set_mtu(port, 65535), 0);
	CHECK_EQ(rte_eth_dev_set_mtu(port, 1500), 0);
}

static struct rte_ether_addr
mac_number(uint8_t number)
{
	return (struct rte_ether_addr){ .addr_bytes = { 2, 0, 0, 0, 0, number } };
}

static unsigned int
macs_of(uint16_t port)
{
	struct rte_ether_addr macs[MACS];
	unsigned int count = 0;

	if (rte_eth_macaddrs_get(port, macs, MACS) != MACS)
		return 0;
	for (int i = 0; i < MACS; i++)
		count += !rte_is_zero_ether_addr(&macs[i]);
	return count;
}

static bool
mac_is(uint16_t port, uint8_t number)
{
	struct rte_ether_addr have, want = mac_number(number);

	return rte_eth_macaddr_get(port, &have) == 0 && rte_is_same_ether_addr(&have, &want);
}

static void
fill_macs(uint16_t port)
{
	struct rte_ether_addr mac;

	for (uint8_t i = 1; i < MACS; i++) {
		mac = mac_number(i);
		CHECK_EQ(rte_eth_dev_mac_addr_add(port, &mac, 0), 0);
	}
	CHECK_EQ(macs_of(port), MACS);
	mac = mac_number(MACS);
	CHECK_EQ(rte_eth_dev_mac_addr_add(port, &mac, 0), -ENOSPC);
	for (uint8_t i = 1; i < MACS; i += 2) {
		mac = mac_number(i);
		CHECK_EQ(rte_eth_dev_mac_addr_remove(port, &mac), 0);
	}
	CHECK_EQ(macs_of(port), MACS / 2);
}

static void
macs(struct pair *pair)
{
	struct rte_ether_addr mac = mac_number(200),
			      group = { .addr_bytes = { 1, 0, 94, 0, 0, 1 } };
	uint16_t port;

	CHECK_EQ(pair_up(pair, ",mac=02:00:00:00:00:99", &plain, &plain), 0);
	port = pair->port.id;
	CHECK(mac_is(port, 0x99));
	STEP(fill_macs(port));
	CHECK_EQ(rte_eth_dev_default_mac_addr_set(port, &mac), 0);
	CHECK(mac_is(port, 200));
	CHECK_EQ(rte_eth_dev_set_mc_addr_list(port, &group, 1), 0);
	CHECK_EQ(rte_eth_dev_set_mc_addr_list(port, NULL, 0), 0);
	CHECK_EQ(rte_eth_promiscuous_disable(port), 0);
	CHECK_EQ(rte_eth_allmulticast_disable(port), 0);
	/* memif has no filter: whatever the addresses, all that the peer sends comes in. */
	CHECK_EQ(send_packets(pair->peer.id, 0, 10, 60), 10);
	CHECK_EQ(take_packets(port, 0, 32, 60), 10);
	CHECK_EQ(rte_eth_dev_stop(port), 0);
	CHECK_EQ(rte_eth_dev_start(port), 0);
	CHECK(mac_is(port, 200));
	CHECK_EQ(macs_of(port), MACS / 2);
}

static void
use(struct pair *pair)
{
	CHECK(pair_wait_link(pair, true));
	CHECK_EQ(send_packets(pair->peer.id, 0, 10, 60), 10);
	CHECK_EQ(take_packets(pair->port.id, 0, 32, 60), 10);
	CHECK_EQ(send_packets(pair->port.id, 0, 20, 600), 20);
	CHECK_EQ(take_packets(pair->peer.id, 0, 32, 600), 20);
}

/* After a reset the port is as it was when it was attached, but for its number. */
static void
reset(struct pair *pair)
{
	struct rte_ether_addr mac = mac_number(200), more = mac_number(201);
	struct rte_eth_stats stats;
	uint16_t port;

	CHECK_EQ(pair_up(pair, ",mac=02:00:00:00:00:99", &plain, &plain), 0);
	port = pair->port.id;
	for (int round = 0; round < 5; round++) {
		STEP(use(pair));
		CHECK_EQ(rte_eth_dev_default_mac_addr_set(port, &mac), 0);
		CHECK_EQ(rte_eth_dev_mac_addr_add(port, &more, 0), 0);
		CHECK_EQ(rte_eth_dev_set_mtu(port, 100), 0);
		CHECK_EQ(rte_eth_dev_set_link_down(port), 0);
		CHECK_EQ(rte_eth_dev_reset(port), 0);
		CHECK(pair_wait_link(pair, false));
		CHECK(mac_is(port, 0x99));
		CHECK_EQ(macs_of(port), 1);
		CHECK_EQ(mtu_of(port), 1500);
		CHECK_EQ(rte_eth_stats_get(port, &stats), 0);
		CHECK_EQ(stats.ipackets + stats.opackets + stats.ibytes + stats.obytes, 0);
		CHECK_EQ(xstat(port, "connections"), 0);
		CHECK_EQ(rte_eth_dev_start(port), -EINVAL);
		CHECK_EQ(end_configure(&pair->port, &plain), 0);
		CHECK_EQ(rte_eth_dev_start(port), 0);
	}
	STEP(use(pair));
}

/* Other numbers of queues between stop and start, while the peer goes on. */
static void
reconfigure(struct pair *pair)
{
	struct setup setup = { .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER };
	const struct setup peer = { .rxq = 2, .txq = 2 };

	CHECK_EQ(pair_up(pair, "", &setup, &peer), 0);
	for (uint16_t queues = 1; queues <= 8; queues++) {
		STEP(use(pair));
		CHECK_EQ(rte_eth_dev_stop(pair->port.id), 0);
		setup.rxq = queues;
		setup.txq = 9 - queues;
		CHECK_EQ(end_configure(&pair->port, &setup), 0);
		CHECK_EQ(rte_eth_dev_start(pair->port.id), 0);
	}
	STEP(use(pair));
}

/* The port goes while a peer is connected, and comes back. */
static void
detach(struct pair *pair)
{
	CHECK_EQ(pair_up(pair, "", &plain, &plain), 0);
	for (int round = 0; round < 20; round++) {
		STEP(use(pair));
		send_packets(pair->peer.id, 0, 5, 60);
		end_detach(&pair->port);
		CHECK_EQ(end_attach(pair, &pair->port, ""), 0);
		CHECK_EQ(end_configure(&pair->port, &plain), 0);
		CHECK_EQ(rte_eth_dev_start(pair->port.id), 0);
	}
}

const struct test_case port_cases[] = {
	{ "limits", limits },
	{ "mtu", mtu },
	{ "macs", macs },
	{ "reset", reset },
	{ "reconfigure", reconfigure },
	{ "detach", detach },
	{ NULL, NULL },
};

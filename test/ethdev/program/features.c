/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The features of DPDK's guide, as far as an application can see them: a line "NAME = Y" or
 * "NAME = N" for each, by the calls and flags that the guide names.
 */

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_version.h>

#include "check.h"

static void
print_feature(const char *name, bool has)
{
	printf("%s = %c\n", name, has ? 'Y' : 'N');
}

static bool
works(int ret)
{
	return ret != -ENOTSUP;
}

static void
print_offloads(const struct rte_eth_dev_info *info)
{
	uint64_t rx = info->rx_offload_capa | info->rx_queue_offload_capa;
	uint64_t tx = info->tx_offload_capa | info->tx_queue_offload_capa;
	const struct {
		const char *name;
		uint64_t rx, tx;
	} offloads[] = {
		{ "Lock-free Tx queue", 0, RTE_ETH_TX_OFFLOAD_MT_LOCKFREE },
		{ "Fast mbuf free", 0, RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE },
		{ "Buffer split on Rx", RTE_ETH_RX_OFFLOAD_BUFFER_SPLIT, 0 },
		{ "Scattered Rx", RTE_ETH_RX_OFFLOAD_SCATTER, 0 },
		{ "LRO", RTE_ETH_RX_OFFLOAD_TCP_LRO, 0 },
		{ "TSO", 0, RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_UDP_TSO },
		{ "VLAN filter", RTE_ETH_RX_OFFLOAD_VLAN_FILTER, 0 },
		{ "VLAN offload", RTE_ETH_RX_OFFLOAD_VLAN_STRIP, RTE_ETH_TX_OFFLOAD_VLAN_INSERT },
		{ "QinQ offload", RTE_ETH_RX_OFFLOAD_QINQ_STRIP, RTE_ETH_TX_OFFLOAD_QINQ_INSERT },
		{ "CRC offload", RTE_ETH_RX_OFFLOAD_KEEP_CRC, 0 },
		{ "L3 checksum offload", RTE_ETH_RX_OFFLOAD_IPV4_CKSUM,
				RTE_ETH_TX_OFFLOAD_IPV4_CKSUM },
		{ "L4 checksum offload",
				RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM,
				RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM },
		{ "Inner L3 checksum", RTE_ETH_RX_OFFLOAD_OUTER_IPV4_CKSUM,
				RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM },
		{ "Inner L4 checksum", RTE_ETH_RX_OFFLOAD_OUTER_UDP_CKSUM,
				RTE_ETH_TX_OFFLOAD_OUTER_UDP_CKSUM },
		{ "MACsec offload", RTE_ETH_RX_OFFLOAD_MACSEC_STRIP,
				RTE_ETH_TX_OFFLOAD_MACSEC_INSERT },
		{ "Timestamp offload", RTE_ETH_RX_OFFLOAD_TIMESTAMP, 0 },
		{ "Inline crypto", RTE_ETH_RX_OFFLOAD_SECURITY, RTE_ETH_TX_OFFLOAD_SECURITY },
		{ "Inline protocol", RTE_ETH_RX_OFFLOAD_SECURITY, RTE_ETH_TX_OFFLOAD_SECURITY },
	};

	for (unsigned int i = 0; i < RTE_DIM(offloads); i++)
		print_feature(offloads[i].name,
				(rx & offloads[i].rx) != 0 || (tx & offloads[i].tx) != 0);
}

static void
print_flags(const struct rte_eth_dev_info *info)
{
	print_feature("Speed capabilities", info->speed_capa != 0);
	print_feature("Link status event", (*info->dev_flags & RTE_ETH_DEV_INTR_LSC) != 0);
	print_feature("Removal event", (*info->dev_flags & RTE_ETH_DEV_INTR_RMV) != 0);
	print_feature("Stats per queue",
			(*info->dev_flags & RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS) != 0);
	print_feature("Runtime Rx queue setup",
			(info->dev_capa & RTE_ETH_DEV_CAPA_RUNTIME_RX_QUEUE_SETUP) != 0);
	print_feature("Runtime Tx queue setup",
			(info->dev_capa & RTE_ETH_DEV_CAPA_RUNTIME_TX_QUEUE_SETUP) != 0);
	print_feature("Shared Rx queue", (info->dev_capa & RTE_ETH_DEV_CAPA_RXQ_SHARE) != 0);
	print_feature("RSS hash", info->flow_type_rss_offloads != 0);
	print_feature("RSS reta update", info->reta_size != 0);
	print_feature("SR-IOV", info->max_vfs != 0);
	print_feature("VMDq", info->max_vmdq_pools != 0);
}

static void
print_queue_calls(uint16_t port)
{
	struct rte_power_monitor_cond condition;
	struct rte_eth_burst_mode mode;

	print_feature("Rx interrupt", works(rte_eth_dev_rx_intr_enable(port, 0)));
	print_feature("Free Tx mbuf on demand", works(rte_eth_tx_done_cleanup(port, 0, 0)));
	print_feature("Queue start/stop",
			works(rte_eth_dev_rx_queue_stop(port, 0)) &&
					works(rte_eth_dev_tx_queue_stop(port, 0)));
	print_feature("Burst mode info",
			works(rte_eth_rx_burst_mode_get(port, 0, &mode)) &&
					works(rte_eth_tx_burst_mode_get(port, 0, &mode)));
	print_feature("Power mgmt address monitor",
			works(rte_eth_get_monitor_addr(port, 0, &condition)));
	print_feature("Rx descriptor status", works(rte_eth_rx_descriptor_status(port, 0, 0)));
	print_feature("Tx descriptor status", works(rte_eth_tx_descriptor_status(port, 0, 0)));
#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
	print_feature("Tx queue count", works(rte_eth_tx_queue_count(port, 0)));
#endif
}

static void
print_port_calls(uint16_t port)
{
	struct rte_eth_fc_conf flow_control;
	struct rte_dev_reg_info registers = { 0 };
	struct rte_eth_stats stats;
	struct rte_eth_link link;
	struct timespec time;

	print_feature("Link status", works(rte_eth_link_get_nowait(port, &link)));
	print_feature("MTU update", works(rte_eth_dev_set_mtu(port, 1400)));
	print_feature("Promiscuous mode",
			works(rte_eth_promiscuous_disable(port)) &&
					works(rte_eth_promiscuous_enable(port)));
	print_feature("Allmulticast mode",
			works(rte_eth_allmulticast_disable(port)) &&
					works(rte_eth_allmulticast_enable(port)));
	print_feature("Packet type parsing",
			rte_eth_dev_get_supported_ptypes(port, RTE_PTYPE_ALL_MASK, NULL, 0) > 0);
	print_feature("Basic stats", works(rte_eth_stats_get(port, &stats)));
	print_feature("Extended stats", xstat(port, "connections") != UINT64_MAX);
	print_feature("Flow control", works(rte_eth_dev_flow_ctrl_get(port, &flow_control)));
	print_feature("FW version", works(rte_eth_dev_fw_version_get(port, (char[64]){ 0 }, 64)));
	print_feature("EEPROM dump", works(rte_eth_dev_get_eeprom_length(port)));
	print_feature("Registers dump", works(rte_eth_dev_get_reg_info(port, &registers)));
	print_feature("LED", works(rte_eth_led_on(port)));
	print_feature("Timesync", works(rte_eth_timesync_read_time(port, &time)));
}

void
print_features(void)
{
	const struct setup setup = { .rx_interrupts = true };
	struct pair pair = {
		.port = { .role = "client", .name = "net_memif0" },
	};
	struct rte_eth_dev_info info;

	snprintf(pair.socket, sizeof(pair.socket), "@mif-ethdev-%d", (int)getpid());
	if (end_attach(&pair, &pair.port, "") != 0 || end_configure(&pair.port, &setup) != 0 ||
			rte_eth_dev_start(pair.port.id) != 0 ||
			rte_eth_dev_info_get(pair.port.id, &info) != 0) {
		fprintf(stderr, "mif-ethdev: no port to look at\n");
		return;
	}
	print_flags(&info);
	print_offloads(&info);
	print_port_calls(pair.port.id);
	print_queue_calls(pair.port.id);
	end_detach(&pair.port);
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <rte_telemetry.h>
#include <rte_version.h>

#include "ethdev.h"
#include "report.h"
#include "worker.h"

/* The name of 22.11 went with 24.03. */
#if RTE_VERSION < RTE_VERSION_NUM(23, 3, 0, 0)
#define rte_tel_data_add_dict_uint rte_tel_data_add_dict_u64
#endif

/* Its commands have no argument of ours. */
static const struct fwd *shown;

static void
add_counters(struct rte_tel_data *dict, const struct port_count *count)
{
	rte_tel_data_add_dict_uint(dict, "rx_packets", count->rx_packets);
	rte_tel_data_add_dict_uint(dict, "rx_bytes", count->rx_bytes);
	rte_tel_data_add_dict_uint(dict, "tx_packets", count->tx_packets);
	rte_tel_data_add_dict_uint(dict, "tx_bytes", count->tx_bytes);
	rte_tel_data_add_dict_uint(dict, "dropped_full", count->drop[DROP_FULL]);
	rte_tel_data_add_dict_uint(dict, "dropped_no_peer", count->drop[DROP_NO_PEER]);
	rte_tel_data_add_dict_uint(dict, "dropped_no_way", count->drop[DROP_NO_WAY]);
}

static int
show_ports(const char *command, const char *params, struct rte_tel_data *data)
{
	struct port_count count;
	struct rte_tel_data *dict;
	struct rte_eth_stats stats;
	char label[32];

	(void)command;
	(void)params;
	rte_tel_data_start_dict(data);
	for (unsigned int place = 0; place < shown->ports; place++) {
		dict = rte_tel_data_alloc();
		if (dict == NULL)
			return -ENOMEM;
		rte_tel_data_start_dict(dict);
		count = workers_count(shown, place);
		rte_tel_data_add_dict_string(dict, "ethdev", shown->port[place].name);
		rte_tel_data_add_dict_string(dict, "link",
				ethdev_link_up(shown->port[place].id) ? "up" : "down");
		add_counters(dict, &count);
		if (rte_eth_stats_get(shown->port[place].id, &stats) == 0) {
			rte_tel_data_add_dict_uint(dict, "missed", stats.imissed + stats.rx_nombuf);
			rte_tel_data_add_dict_uint(dict, "errors", stats.ierrors + stats.oerrors);
		}
		fwd_label(shown, place, label, sizeof(label));
		/* Names have no blanks in 24.07 and later. */
		for (char *c = label; *c != '\0'; c++)
			*c = *c == ' ' ? '_' : *c;
		rte_tel_data_add_dict_container(data, label, dict, 0);
	}
	return 0;
}

static int
show_flows(const char *command, const char *params, struct rte_tel_data *data)
{
	char name[32];

	(void)command;
	(void)params;
	rte_tel_data_start_dict(data);
	rte_tel_data_add_dict_uint(data, "buckets", STEER_BUCKETS);
	for (unsigned int i = 0; i < shown->steer.ports; i++) {
		snprintf(name, sizeof(name), "memif_%u", i);
		rte_tel_data_add_dict_uint(data, name, steer_share(&shown->steer, i));
	}
	return 0;
}

int
report_telemetry(const struct fwd *fwd)
{
	int ret;

	shown = fwd;
	ret = rte_telemetry_register_cmd("/fwd/ports", show_ports,
			"Counters of each port of the forwarder. No parameters");
	if (ret == 0)
		ret = rte_telemetry_register_cmd("/fwd/flows", show_flows,
				"How many of the buckets of flows each memif port has. No parameters");
	if (ret != 0)
		fprintf(stderr, "%s: no telemetry: %s\n", program_name, rte_strerror(-ret));
	return ret;
}

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Commands for dpdk-telemetry.py, below /memif. They run on telemetry's own threads, and hold the
 * control lock while they fill in an answer, so that port and connection stay.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ethdev_driver.h>
#include <rte_common.h>
#include <rte_telemetry.h>

#include "memif_burst.h"
#include "memif_compat.h"
#include "memif_ctrl.h"
#include "memif_ethdev.h"
#include "memif_link.h"
#include "memif_port.h"
#include "memif_ring.h"
#include "memif_session.h"
#include "memif_zc_server.h"

/* Telemetry's answers have 16 KB: further regions and rings are got by a second parameter. */
#define REGIONS_PER_ANSWER 128
#define RINGS_PER_ANSWER 32 /* of each direction */

#define XSTATS_MAX 64

/* Fills in the answer of one port; the lock is held. */
typedef void (*port_answer)(const struct mif_port *port, uint16_t first, struct rte_tel_data *data);

/* Telemetry of DPDK 22.11 reads outside a table for bytes that are not ASCII. */
static void
add_text(struct rte_tel_data *data, const char *name, const char *text)
{
	char clean[RTE_TEL_MAX_STRING_LEN];
	size_t i;

	for (i = 0; i + 1 < sizeof(clean) && text[i] != '\0'; i++)
		clean[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
	clean[i] = '\0';
	rte_tel_data_add_dict_string(data, name, clean);
}

/* A new dictionary inside this one; NULL when there is no memory, or no room in it. */
static struct rte_tel_data *
add_dict(struct rte_tel_data *data, const char *kind, unsigned int number)
{
	struct rte_tel_data *dict = rte_tel_data_alloc();
	char name[16];

	if (dict == NULL)
		return NULL;
	rte_tel_data_start_dict(dict);
	snprintf(name, sizeof(name), "%s%u", kind, number);
	if (rte_tel_data_add_dict_container(data, name, dict, 0) >= 0)
		return dict;
	rte_tel_data_free(dict);
	return NULL;
}

static void
add_identity(struct rte_tel_data *data, const struct mif_port *port)
{
	add_text(data, "name", port->name);
	add_text(data, "role", port->args.role == MIF_CLIENT ? "client" : "server");
	mif_tel_add_uint(data, "id", port->args.id);
	add_text(data, "mode", mif_port_mode_name(port));
	add_text(data, "state", mif_state_word(port));
}

static int
answer_list(const char *cmd, const char *params, struct rte_tel_data *data)
{
	struct mif_port_list *ports;
	const struct mif_port *port;
	struct rte_tel_data *dict;

	RTE_SET_USED(cmd);
	RTE_SET_USED(params);
	rte_tel_data_start_dict(data);
	mif_ctrl_lock();
	ports = mif_ctrl_ports();
	for (port = ports == NULL ? NULL : TAILQ_FIRST(ports); port != NULL;
			port = TAILQ_NEXT(port, next)) {
		dict = add_dict(data, "", port->dev->data->port_id);
		if (dict == NULL)
			break;
		add_identity(dict, port);
	}
	mif_ctrl_unlock();
	return 0;
}

static void
add_counters(struct rte_tel_data *data, struct rte_eth_dev *dev)
{
	struct rte_eth_xstat_name names[XSTATS_MAX];
	struct rte_eth_xstat xstats[XSTATS_MAX];
	struct rte_eth_stats stats = { 0 };
	int count;

	mif_stats_of_port(dev, &stats);
	mif_tel_add_uint(data, "rx_packets", stats.ipackets);
	mif_tel_add_uint(data, "rx_bytes", stats.ibytes);
	mif_tel_add_uint(data, "tx_packets", stats.opackets);
	mif_tel_add_uint(data, "tx_bytes", stats.obytes);
	count = mif_xstats_get_names(dev, names, XSTATS_MAX);
	if (count > XSTATS_MAX || mif_xstats_get(dev, xstats, XSTATS_MAX) != count)
		return;
	for (int i = 0; i < count; i++)
		mif_tel_add_uint(data, names[i].name, xstats[i].value);
}

/* mode=ip: the source of received packets. */
static void
add_peer_mac(struct rte_tel_data *data, const struct mif_port *port)
{
	const struct rte_ether_addr mac = mif_port_peer_mac(port);
	char text[RTE_ETHER_ADDR_FMT_SIZE];

	rte_ether_format_addr(text, sizeof(text), &mac);
	add_text(data, "peer_mac", port->args.mode == MIF_MODE_IP ? text : "");
}

static void
answer_port(const struct mif_port *port, uint16_t first, struct rte_tel_data *data)
{
	const struct mif_link *link = port->link;
	char text[RTE_TEL_MAX_STRING_LEN];

	RTE_SET_USED(first);
	mif_tel_add_uint(data, "port", port->dev->data->port_id);
	add_identity(data, port);
	snprintf(text, sizeof(text), "%s%s", port->args.addr.abstract ? "@" : "",
			port->args.addr.text);
	add_text(data, "socket", text);
	add_text(data, "peer", link != NULL ? port->peer : "");
	add_peer_mac(data, port);
	add_text(data, "last_disconnect", port->reason);
	add_text(data, "trouble", port->trouble);
	add_text(data, "burst", mif_burst_name());
	mif_tel_add_uint(data, "connected_ms", link != NULL ? mif_ctrl_now() - port->up_since : 0);
	mif_tel_add_uint(data, "rx_queues", port->dev->data->nb_rx_queues);
	mif_tel_add_uint(data, "tx_queues", port->dev->data->nb_tx_queues);
	mif_tel_add_uint(data, "rx_rings", mif_port_ring_count(port, false));
	mif_tel_add_uint(data, "tx_rings", mif_port_ring_count(port, true));
	mif_tel_add_uint(data, "regions", link != NULL ? link->shared->region_count : 0);
	add_counters(data, port->dev);
}

static void
answer_regions(const struct mif_port *port, uint16_t first, struct rte_tel_data *data)
{
	const struct mif_link *link = port->link;
	uint32_t count = link != NULL ? link->shared->region_count : 0;
	uint32_t end = RTE_MIN(count, (uint32_t)first + REGIONS_PER_ANSWER);
	struct rte_tel_data *dict;

	for (uint32_t i = first; i < end; i++) {
		dict = add_dict(data, "", i);
		if (dict == NULL)
			return;
		mif_tel_add_uint(dict, "size", link->regions[i].size);
		mif_tel_add_uint(dict, "page_size", link->regions[i].page_size);
		mif_tel_add_uint(dict, "sealed", link->regions[i].sealed);
	}
}

static void
add_ring(struct rte_tel_data *dict, const struct mif_ring_end *end, bool transmit)
{
	uint16_t flags = __atomic_load_n(&end->ring->flags, __ATOMIC_RELAXED);

	mif_tel_add_uint(dict, "slots", end->size);
	mif_tel_add_uint(dict, "filled", mif_ring_filled(end, transmit));
	mif_tel_add_uint(dict, "own_index", __atomic_load_n(end->own_index, __ATOMIC_RELAXED));
	mif_tel_add_uint(dict, "peer_index", __atomic_load_n(end->peer_index, __ATOMIC_RELAXED));
	mif_tel_add_uint(dict, "interrupts", (flags & MIF_RING_MASK_INT) == 0);
	if (transmit)
		mif_tel_add_uint(dict, "shared", end->shared);
	if (end->loans != NULL) {
		mif_tel_add_uint(dict, "lent", mif_lend_count(end));
		mif_tel_add_uint(dict, "not_given_back", mif_loans_out(end->loans));
	}
}

static void
add_rings(struct rte_tel_data *data, const struct mif_port *port, bool transmit, uint16_t first)
{
	uint32_t end = RTE_MIN((uint32_t)mif_port_ring_count(port, transmit),
			(uint32_t)first + RINGS_PER_ANSWER);
	struct rte_tel_data *dict;

	for (uint32_t i = first; i < end; i++) {
		dict = add_dict(data, transmit ? "tx" : "rx", i);
		if (dict == NULL)
			return;
		add_ring(dict, mif_port_ring(port, transmit, (uint16_t)i), transmit);
	}
}

static void
answer_rings(const struct mif_port *port, uint16_t first, struct rte_tel_data *data)
{
	add_rings(data, port, false, first);
	add_rings(data, port, true, first);
}

/* By its name, or by its number. */
static const struct mif_port *
find_port(const char *wanted)
{
	struct mif_port_list *ports = mif_ctrl_ports();
	const struct mif_port *port = ports == NULL ? NULL : TAILQ_FIRST(ports);
	unsigned long number;
	char *end;

	number = strtoul(wanted, &end, 10);
	for (; port != NULL; port = TAILQ_NEXT(port, next)) {
		if (strcmp(port->name, wanted) == 0 ||
				(end != wanted && *end == '\0' &&
						port->dev->data->port_id == number))
			return port;
	}
	return NULL;
}

/* The parameters are PORT or PORT,FIRST. */
static int
ask_port(const char *params, port_answer answer, struct rte_tel_data *data)
{
	const char *comma = params == NULL ? NULL : strchr(params, ',');
	const struct mif_port *port;
	char wanted[RTE_ETH_NAME_MAX_LEN];
	unsigned long first = 0;

	if (params == NULL)
		return -EINVAL;
	snprintf(wanted, sizeof(wanted), "%.*s",
			(int)(comma == NULL ? strlen(params) : (size_t)(comma - params)), params);
	if (comma != NULL)
		first = strtoul(comma + 1, NULL, 10);
	rte_tel_data_start_dict(data);
	mif_ctrl_lock();
	port = find_port(wanted);
	if (port != NULL)
		answer(port, (uint16_t)RTE_MIN(first, 0xfffful), data);
	mif_ctrl_unlock();
	return port == NULL ? -ENODEV : 0;
}

static int
ask_about_port(const char *cmd, const char *params, struct rte_tel_data *data)
{
	RTE_SET_USED(cmd);
	return ask_port(params, answer_port, data);
}

static int
ask_about_regions(const char *cmd, const char *params, struct rte_tel_data *data)
{
	RTE_SET_USED(cmd);
	return ask_port(params, answer_regions, data);
}

static int
ask_about_rings(const char *cmd, const char *params, struct rte_tel_data *data)
{
	RTE_SET_USED(cmd);
	return ask_port(params, answer_rings, data);
}

RTE_INIT(mif_telemetry_init)
{
	rte_telemetry_register_cmd("/memif/list", answer_list,
			"The memif ports of this process. No parameters");
	rte_telemetry_register_cmd("/memif/port", ask_about_port,
			"Connection and counters of a memif port. Parameters: name or number");
	rte_telemetry_register_cmd("/memif/regions", ask_about_regions,
			"Shared memory of a connection. Parameters: port, first region (0)");
	rte_telemetry_register_cmd("/memif/rings", ask_about_rings,
			"Rings of a connection. Parameters: port, first ring (0)");
}

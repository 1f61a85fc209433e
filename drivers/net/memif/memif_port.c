/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <ethdev_driver.h>
#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_version.h>

#include "memif_burst.h"
#include "memif_link.h"
#include "memif_listener.h"
#include "memif_log.h"
#include "memif_port.h"
#include "memif_session.h"
#include "memif_zc_memory.h"

#define PAUSE_MAX_MS 200
#define LINES_AT_ONCE 64   /* about connections, in the log */
#define LINE_MS 250	   /* for each further one */
#define SETTLE_MS 1000	   /* after a line about one trouble, before one about another */
#define LAST_BURST_MS 1000 /* a stop waits so long for a burst */
#define SETTLE_LOOK_US 20
#define LINGER_LOOK_MS 1
#define STABLE_MS 1000 /* a connection that lived as long was a good one */

static const char *
role_name(enum mif_role role)
{
	return role == MIF_CLIENT ? "client" : "server";
}

static void
reset_ring_caps(struct mif_port *port)
{
	port->ring_cap[MIF_C2S] = MIF_RINGS_MAX;
	port->ring_cap[MIF_S2C] = MIF_RINGS_MAX;
}

uint16_t
mif_port_rings(const struct mif_port *port, enum mif_dir dir)
{
	const struct rte_eth_dev_data *data = port->dev->data;
	bool transmit = (dir == MIF_C2S) == (port->args.role == MIF_CLIENT);
	uint16_t queues = transmit ? data->nb_tx_queues : data->nb_rx_queues;

	return RTE_MIN(queues, port->ring_cap[dir]);
}

bool
mif_port_ready(const struct mif_port *port)
{
	return port->started && port->wanted_up;
}

static void
set_link(struct mif_port *port, bool up)
{
	struct rte_eth_link link = {
		.link_speed = RTE_ETH_SPEED_NUM_10G,
		.link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
		.link_autoneg = RTE_ETH_LINK_AUTONEG,
		.link_status = up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN,
	};

	rte_eth_linkstatus_set(port->dev, &link);
}

struct rte_ether_addr
mif_port_peer_mac(const struct mif_port *port)
{
	rte_be32_t id = rte_cpu_to_be_32(port->args.id);
	struct rte_ether_addr mac = {
		.addr_bytes = { port->args.role == MIF_CLIENT ? 0x02 : 0x06, 'm' },
	};

	memcpy(&mac.addr_bytes[2], &id, sizeof(id));
	return mac;
}

const char *
mif_port_mode_name(const struct mif_port *port)
{
	return port->args.mode == MIF_MODE_IP ? "ip" : "ethernet";
}

const char *
mif_port_copy_word(const struct mif_port *port)
{
	return port->args.zero_copy ? "zero-copy" : "copy";
}

/*
 * May a line about connections be logged? A peer that comes and goes as fast as it can would fill
 * the disk: it gets some lines at once, then one now and then, and the number of those left out.
 */
static bool
may_tell(struct mif_port *port)
{
	uint64_t now = mif_ctrl_now();

	port->lines_due = RTE_MAX(port->lines_due, now);
	if (port->lines_due - now >= LINES_AT_ONCE * LINE_MS) {
		port->lines_left_out++;
		return false;
	}
	port->lines_due += LINE_MS;
	if (port->lines_left_out > 0)
		MIF_LOG(WARNING, port->name,
				"%u lines left out: peers come and go too fast; restrict who may "
				"reach the socket",
				port->lines_left_out);
	port->lines_left_out = 0;
	return true;
}

/* A lasting trouble is said once, not at each of the attempts; a passing one not at all. */
static void
tell_trouble(struct mif_port *port, const char *trouble)
{
	uint64_t now = mif_ctrl_now();

	if (strncmp(port->trouble, trouble, sizeof(port->trouble) - 1) == 0)
		return;
	if (port->trouble[0] != '\0' && now - port->told < SETTLE_MS)
		return;
	/* One that lasts is said at a later attempt. */
	if (!may_tell(port))
		return;
	port->told = now;
	snprintf(port->trouble, sizeof(port->trouble), "%s", trouble);
	MIF_LOG(NOTICE, port->name, "not connected: %s", port->trouble);
}

static void
try_later(struct mif_port *port)
{
	mif_ctrl_arm(&port->retry, port->pause);
	port->pause = RTE_MAX(2 * port->pause, 1u);
	port->pause = RTE_MIN(port->pause, (uint32_t)PAUSE_MAX_MS);
}

static void
try_connect(struct mif_timer *timer)
{
	struct mif_port *port = container_of(timer, struct mif_port, retry);
	char trouble[sizeof(port->trouble)];
	int ret;

	/* Two connections would hold twice the mbufs. */
	if (mif_link_lingering(&port->counters) != 0) {
		mif_ctrl_arm(&port->retry, LINGER_LOOK_MS);
		return;
	}
	port->cfg.rings[MIF_C2S] = mif_port_rings(port, MIF_C2S);
	port->cfg.rings[MIF_S2C] = mif_port_rings(port, MIF_S2C);
	ret = mif_session_connect(port);
	if (ret == 0)
		return;
	/* Nobody there: who comes next may take more rings than the one that refused some. */
	reset_ring_caps(port);
	snprintf(trouble, sizeof(trouble), "waiting for the server at %s (%s)",
			port->args.addr.text, strerror(-ret));
	tell_trouble(port, trouble);
	try_later(port);
}

static void
name_peer(struct mif_port *port, const struct mif_conn *conn)
{
	snprintf(port->peer, sizeof(port->peer), "'%s' of '%s'", conn->peer_if_name,
			conn->peer_name);
}

static void
log_connected(const struct mif_port *port, const struct mif_geometry *geometry)
{
	bool client = port->args.role == MIF_CLIENT;
	enum mif_dir dir = geometry->rings[MIF_C2S] != 0 ? MIF_C2S : MIF_S2C;
	char buffers[32] = "the client's";

	if (client)
		snprintf(buffers, sizeof(buffers), "%u bytes", port->link->buffer_size);
	MIF_LOG(NOTICE, port->name,
			"connected as %s to %s: id %u, mode %s, rings %u rx %u tx for queues "
			"%u rx %u tx, %u slots, buffers %s, %s, burst %s",
			role_name(port->args.role), port->peer, port->args.id,
			mif_port_mode_name(port), geometry->rings[client ? MIF_S2C : MIF_C2S],
			geometry->rings[client ? MIF_C2S : MIF_S2C], port->dev->data->nb_rx_queues,
			port->dev->data->nb_tx_queues, 1u << geometry->ring[dir][0].log2_ring_size,
			buffers, mif_port_copy_word(port), mif_burst_name());
	if (port->link->memory != NULL)
		mif_zc_memory_log(port->link->memory, port->name);
}

void
mif_port_connected(struct mif_port *port, struct mif_session *session)
{
	port->link = session->link;
	session->link = NULL;
	port->trouble[0] = '\0';
	mif_count(&port->counters.connects, 1);
	port->up_since = mif_ctrl_now();
	name_peer(port, &session->conn);
	mif_link_attach(port->link, &port->args, port->dev);
	set_link(port, true);
	port->link_event = true;
	if (may_tell(port))
		log_connected(port, &session->conn.geometry);
}

static void
take_down(struct mif_port *port, const struct mif_conn *conn)
{
	mif_link_detach(port->link, port->dev, &port->counters);
	port->link = NULL;
	set_link(port, false);
	mif_count(&port->counters.disconnects, 1);
	/* Who stops the port himself need not be told. */
	port->link_event = mif_port_ready(port);
	snprintf(port->reason, sizeof(port->reason), "%s%s", conn->by_peer ? "the peer says: " : "",
			conn->reason);
	if (may_tell(port))
		MIF_LOG(NOTICE, port->name, "disconnected from %s: %s", port->peer, port->reason);
	snprintf(port->trouble, sizeof(port->trouble), "%s", conn->reason);
	port->told = mif_ctrl_now();
	reset_ring_caps(port);
	/* A server that throws us out at once, again and again, does not make us spin. */
	if (mif_ctrl_now() - port->up_since >= STABLE_MS)
		port->pause = 0;
}

/*
 * The server takes fewer rings than it did not say: come back with those it has taken, at once. The
 * pauses that it may have earned otherwise stay as they are.
 */
static bool
accept_fewer_rings(struct mif_port *port, const struct mif_conn *conn)
{
	if (!conn->ring_refused || conn->index == 0)
		return false;
	port->ring_cap[conn->dir] = conn->index;
	MIF_LOG(INFO, port->name, "the server takes %u rings %s: connecting again with those",
			conn->index, conn->dir == MIF_C2S ? "to it" : "from it");
	return true;
}

void
mif_port_refused(struct mif_port *port, const struct mif_conn *conn)
{
	char trouble[sizeof(port->trouble)];

	if (!mif_port_ready(port) || port->session != NULL)
		return;
	snprintf(trouble, sizeof(trouble), "refused a client of '%s': %s", conn->peer_name,
			conn->reason);
	tell_trouble(port, trouble);
}

void
mif_port_disconnected(struct mif_port *port, const struct mif_conn *conn)
{
	bool at_once = false;

	port->session = NULL;
	if (port->link != NULL) {
		take_down(port, conn);
	} else if (mif_port_ready(port)) {
		tell_trouble(port, conn->reason);
		at_once = accept_fewer_rings(port, conn);
	}
	if (at_once)
		mif_ctrl_arm(&port->retry, 0);
	else if (port->args.role == MIF_CLIENT && mif_port_ready(port))
		try_later(port);
}

void
mif_port_start(struct mif_port *port)
{
	if (!mif_port_ready(port) || port->args.role == MIF_SERVER)
		return;
	if (port->session != NULL || port->retry.armed)
		return;
	port->pause = 0;
	reset_ring_caps(port);
	try_connect(&port->retry);
}

void
mif_port_stop(struct mif_port *port, const char *reason)
{
	mif_ctrl_disarm(&port->retry);
	if (port->session != NULL)
		mif_session_end(port->session, reason);
	port->trouble[0] = '\0';
	port->link_event = false;
}

void
mif_port_settle(struct mif_port *port)
{
	uint64_t end = mif_ctrl_now() + LAST_BURST_MS;

	while (mif_link_lingering(&port->counters) != 0) {
		if (mif_ctrl_now() >= end) {
			MIF_LOG(ERR, port->name,
					"a burst has not ended for %d ms: stop polling, and wait with "
					"freeing its pools",
					LAST_BURST_MS);
			return;
		}
		mif_ctrl_unlock();
		rte_delay_us_sleep(SETTLE_LOOK_US);
		mif_ctrl_lock();
		mif_ctrl_serve();
	}
}

static void
fill_cfg(struct mif_port *port)
{
	struct mif_conn_cfg *cfg = &port->cfg;

	cfg->id = port->args.id;
	cfg->mode = (uint8_t)port->args.mode;
	cfg->log2_ring_size = port->args.log2_ring_size;
	memcpy(cfg->secret, port->args.secret, sizeof(cfg->secret));
	snprintf(cfg->name, sizeof(cfg->name), "%s", rte_version());
	snprintf(cfg->if_name, sizeof(cfg->if_name), "%.*s", MIF_NAME_LEN - 1, port->name);
}

static int
refuse_twin(const struct mif_port *port)
{
	const struct mif_port *other;

	TAILQ_FOREACH(other, mif_ctrl_ports(), next) {
		if (other == port || other->args.id != port->args.id ||
				other->args.role != port->args.role ||
				!mif_sockaddr_same(&other->args.addr, &port->args.addr))
			continue;
		MIF_LOG(ERR, port->name,
				"%s is %s of id %u on socket %s already: change id, role or socket",
				other->name, role_name(port->args.role), port->args.id,
				port->args.addr.text);
		return -EEXIST;
	}
	return 0;
}

int
mif_port_open(struct mif_port *port, struct rte_eth_dev *dev, const struct mif_devargs *args)
{
	int ret;

	port->layout = MIF_PORT_LAYOUT;
	port->dev = dev;
	port->name = dev->data->name;
	port->args = *args;
	port->wanted_up = true;
	port->retry.fire = try_connect;
	reset_ring_caps(port);
	fill_cfg(port);
	set_link(port, false);

	mif_ctrl_lock();
	ret = mif_ctrl_add_port(port);
	if (ret != 0) {
		mif_ctrl_unlock();
		return ret;
	}
	ret = refuse_twin(port);
	if (ret == 0 && args->role == MIF_SERVER)
		ret = mif_listener_join(&port->listener, port->name, &args->addr, &args->access);
	mif_ctrl_unlock();
	if (ret != 0)
		mif_ctrl_remove_port(port);
	return ret;
}

void
mif_port_close(struct mif_port *port)
{
	mif_ctrl_lock();
	port->started = false;
	mif_port_stop(port, "interface deleted");
	if (port->listener != NULL)
		mif_listener_leave(port->listener);
	port->listener = NULL;
	mif_port_settle(port);
	mif_link_forget(&port->counters);
	mif_ctrl_unlock();
	mif_ctrl_remove_port(port);
}

void
mif_port_check_links(struct mif_port_list *ports)
{
	struct mif_port *port;
	uint32_t fault;

	TAILQ_FOREACH(port, ports, next) {
		if (port->link == NULL)
			continue;
		fault = __atomic_load_n(&port->link->shared->fault, __ATOMIC_RELAXED);
		if (fault != MIF_FAULT_NONE)
			mif_session_end(port->session, mif_fault_text((enum mif_fault)fault));
	}
}

struct rte_eth_dev *
mif_port_take_link_event(struct mif_port_list *ports)
{
	struct mif_port *port;

	TAILQ_FOREACH(port, ports, next) {
		if (port->link_event) {
			port->link_event = false;
			return port->dev;
		}
	}
	return NULL;
}

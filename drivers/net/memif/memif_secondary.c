/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bus_vdev_driver.h>
#include <ethdev_driver.h>
#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_spinlock.h>

#include "memif_burst.h"
#include "memif_ctrl.h"
#include "memif_ethdev.h"
#include "memif_guard.h"
#include "memif_log.h"
#include "memif_mp.h"
#include "memif_mp_chan.h"
#include "memif_notify.h"
#include "memif_port.h"
#include "memif_process.h"
#include "memif_region.h"
#include "memif_secondary.h"

#define DRIVER "net_memif"
#define ANSWER_MS 500 /* a probe waits so long for what the primary has to say */

/* What this process has of a connection. */
struct view {
	uint64_t generation;
	uint16_t port;
	bool broken;	 /* something could not be had: not usable here */
	uint32_t passed; /* items so far */
	uint32_t total;
	struct mif_region regions[MIF_REGIONS_MAX];
	int event_fds[MIF_RINGS_MAX]; /* of the transmit rings */
	TAILQ_ENTRY(view) next;
};

/* All under the control lock; views are added and removed under the spinlock too, as bursts that
 * have to wake their peer look at them. */
static TAILQ_HEAD(, view) views = TAILQ_HEAD_INITIALIZER(views);
static rte_spinlock_t views_lock = RTE_SPINLOCK_INITIALIZER;
static struct mif_watch primary = { .fd = -1 };
static bool answered[RTE_MAX_ETHPORTS]; /* the primary has said what the port has */

/* --- views --- */

static struct view *
find_view(uint64_t generation)
{
	struct view *view;

	TAILQ_FOREACH(view, &views, next) {
		if (view->generation == generation)
			return view;
	}
	return NULL;
}

int
mif_secondary_wake(const struct mif_ring_end *end)
{
	const struct view *view;
	int fd;

	rte_spinlock_lock(&views_lock);
	view = find_view(end->common->generation);
	fd = view == NULL ? -1 : view->event_fds[end->index];
	rte_spinlock_unlock(&views_lock);
	/* It stays open as long as the burst is inside. */
	return fd < 0 ? -ENOENT : mif_notify(mif_ctrl_notifier(), fd);
}

static struct view *
add_view(uint64_t generation, uint16_t port)
{
	struct view *view = calloc(1, sizeof(*view));

	if (view == NULL)
		return NULL;
	view->generation = generation;
	view->port = port;
	for (int i = 0; i < MIF_REGIONS_MAX; i++)
		view->regions[i] = MIF_REGION_NONE;
	memset(view->event_fds, -1, sizeof(view->event_fds));
	rte_spinlock_lock(&views_lock);
	TAILQ_INSERT_TAIL(&views, view, next);
	rte_spinlock_unlock(&views_lock);
	return view;
}

/* No burst is in it, nor will be: the primary has seen to it, or the port is closed. */
static void
remove_view(struct view *view)
{
	_Atomic(uint64_t) *mapped = &mif_process.mapped[view->port];
	uint64_t generation = view->generation;

	atomic_compare_exchange_strong(mapped, &generation, 0);
	rte_spinlock_lock(&views_lock);
	TAILQ_REMOVE(&views, view, next);
	rte_spinlock_unlock(&views_lock);
	for (int i = 0; i < MIF_REGIONS_MAX; i++) {
		if (!view->regions[i].sealed)
			mif_guard_remove(view->regions[i].addr);
		mif_region_release(&view->regions[i]);
	}
	for (int i = 0; i < MIF_RINGS_MAX; i++) {
		if (view->event_fds[i] >= 0)
			close(view->event_fds[i]);
	}
	free(view);
}

static void
remove_views(uint16_t port)
{
	struct view *view, *after;

	for (view = TAILQ_FIRST(&views); view != NULL; view = after) {
		after = TAILQ_NEXT(view, next);
		if (view->port == port)
			remove_view(view);
	}
}

static const char *
port_name(uint16_t port)
{
	return rte_eth_devices[port].data == NULL ? DRIVER : rte_eth_devices[port].data->name;
}

/* Said once of a connection. */
static void
break_view(struct view *view, const char *what, int error)
{
	if (!view->broken)
		MIF_LOG(ERR, port_name(view->port),
				"a connection cannot be used in this process: %s: %s", what,
				strerror(-error));
	view->broken = true;
}

static int
guard_region(const struct mif_region *region, const struct mif_mp_msg *msg)
{
	const struct mif_guard guard = {
		.addr = region->addr,
		.size = region->size,
		.page_size = region->page_size,
		.fault = &((struct mif_shared *)(uintptr_t)msg->shared)->fault,
		.value = MIF_FAULT_MEMORY,
		.wake_fd = mif_process.kick_fd,
	};

	return region->sealed ? 0 : mif_guard_add(&guard);
}

static void
map_region(struct view *view, const struct mif_mp_msg *msg, const struct mif_mp_item *item, int fd)
{
	struct mif_region *region = &view->regions[item->index % MIF_REGIONS_MAX];
	int ret;

	*region = (struct mif_region){
		.fd = fd,
		.addr = (uint8_t *)(uintptr_t)item->addr,
		.size = item->size,
		.page_size = item->page_size,
		.sealed = item->sealed != 0,
	};
	ret = mif_region_follow(region);
	if (ret != 0) {
		break_view(view, "its memory cannot be mapped at the primary's address", ret);
		return;
	}
	ret = guard_region(region, msg);
	if (ret != 0)
		break_view(view, "its memory cannot be guarded", ret);
}

static void
take_link(const struct mif_mp_msg *msg, const int *fds)
{
	struct view *view = find_view(msg->generation);

	if (view == NULL)
		view = add_view(msg->generation, msg->port);
	if (view == NULL) {
		for (uint16_t i = 0; i < msg->count; i++)
			close(fds[i]);
		return;
	}
	for (uint16_t i = 0; i < msg->count; i++) {
		if (msg->items[i].addr != 0)
			map_region(view, msg, &msg->items[i], fds[i]);
		else
			view->event_fds[msg->items[i].index % MIF_RINGS_MAX] = fds[i];
	}
	view->passed += msg->count;
	view->total = msg->total;
	if (msg->total == 0)
		break_view(view, "the primary has too few files to keep those of the peer",
				-EMFILE);
	/* Release: pairs with the acquire in mif_process_maps(). */
	if (!view->broken && view->passed == msg->total)
		atomic_store_explicit(&mif_process.mapped[msg->port], msg->generation,
				memory_order_release);
}

static void
keep_views(const struct mif_mp_msg *msg)
{
	struct view *view, *after;
	bool keep;

	answered[msg->port] = true;
	for (view = TAILQ_FIRST(&views); view != NULL; view = after) {
		after = TAILQ_NEXT(view, next);
		keep = view->port != msg->port;
		for (uint16_t i = 0; i < msg->count && i < MIF_MP_ITEMS; i++)
			keep |= view->generation == msg->keep[i];
		if (!keep)
			remove_view(view);
	}
}

/* --- the primary --- */

static void
forget_primary(void)
{
	if (primary.fd < 0)
		return;
	mif_ctrl_unwatch(&primary);
	close(primary.fd);
	primary.fd = -1;
}

static struct eth_dev_ops ops; /* of all ports here */

/* A primary that was killed has left its ports as they were. */
static void
set_links_down(void)
{
	const struct rte_eth_link down = { .link_status = RTE_ETH_LINK_DOWN };

	for (uint16_t port = 0; port < RTE_MAX_ETHPORTS; port++) {
		if (rte_eth_devices[port].dev_ops == &ops && rte_eth_devices[port].data != NULL)
			rte_eth_linkstatus_set(&rte_eth_devices[port], &down);
	}
}

/* Bursts may be inside, so what is mapped stays; the next ones find nothing. */
static void
lose_primary(void)
{
	MIF_LOG(ERR, DRIVER, "the primary process is gone: its ports carry no packets any more");
	forget_primary();
	for (uint16_t port = 0; port < RTE_MAX_ETHPORTS; port++)
		atomic_store(&mif_process.mapped[port], 0);
	/* It may have closed its ports only, and use their places for others. */
	if (rte_eal_primary_proc_alive(NULL) == 0)
		set_links_down();
}

/* Nothing is mapped yet, so no burst looks at this. */
static void
take_welcome(const struct mif_mp_msg *msg, const int *fds)
{
	mif_process.number = msg->process;
	mif_process.fence = msg->fence != 0 || mif_gate_join() != 0;
	mif_process.kick_fd = fds[0];
}

static void
on_message(struct mif_watch *watch, uint32_t events)
{
	struct mif_mp_msg msg;
	int fds[MIF_MP_ITEMS];
	unsigned int count;
	int ret = mif_mp_recv(watch->fd, &msg, fds, &count);

	RTE_SET_USED(events);
	if (ret == -EAGAIN)
		return;
	if (ret == -EMFILE)
		MIF_LOG(ERR, DRIVER, "no files for what the primary process sends");
	else if (ret != 0 || msg.port >= RTE_MAX_ETHPORTS)
		lose_primary();
	else if (msg.type == MIF_MP_WELCOME && count == 1)
		take_welcome(&msg, fds);
	else if (msg.type == MIF_MP_LINK && count == msg.count)
		take_link(&msg, fds);
	else if (msg.type == MIF_MP_KEEP)
		keep_views(&msg);
}

/* Two ends of a socket: one is ours, the other one goes to the primary. */
static int
find_primary(void)
{
	struct rte_mp_msg hello = { .name = MIF_MP_HELLO, .num_fds = 1 };
	int ends[2];
	int ret;

	if (primary.fd >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -errno;
	primary.fd = ends[0];
	primary.ready = on_message;
	ret = mif_ctrl_watch(&primary);
	if (ret == 0) {
		hello.fds[0] = ends[1];
		ret = rte_mp_sendmsg(&hello) == 0 ? 0 : -rte_errno;
	}
	close(ends[1]);
	if (ret != 0)
		forget_primary();
	return ret;
}

static int
say(enum mif_mp_type type, uint16_t port)
{
	const struct mif_mp_msg msg = { .type = type, .port = port };

	return primary.fd < 0 ? -ENOTCONN : mif_mp_send(primary.fd, &msg, NULL, 0);
}

/* --- the port --- */

static unsigned int ports; /* of this process */

static int
secondary_close(struct rte_eth_dev *dev)
{
	mif_ctrl_lock();
	say(MIF_MP_DETACH, dev->data->port_id);
	remove_views(dev->data->port_id);
	if (--ports == 0) {
		forget_primary();
		if (mif_process.kick_fd > 0)
			close(mif_process.kick_fd);
		mif_process.kick_fd = -1;
	}
	mif_ctrl_unlock();
	mif_ctrl_leave();
	return 0;
}

static int
secondary_dump(struct rte_eth_dev *dev, FILE *file)
{
	const struct mif_port *port = mif_port_of(dev);
	uint64_t mapped = atomic_load(&mif_process.mapped[dev->data->port_id]);

	fprintf(file, "  role: %s, id %u, socket %s%s\n",
			port->args.role == MIF_CLIENT ? "client" : "server", port->args.id,
			port->args.addr.abstract ? "@" : "", port->args.addr.text);
	fprintf(file, "  this is secondary process %u: it has %s connection", mif_process.number,
			mapped == 0 ? "no" : "mapped a");
	if (mapped != 0)
		fprintf(file, ", number %lu", mapped);
	fputc('\n', file);
	return 0;
}

/* Configuring, starting and stopping are the primary's: without these operations ethdev answers
 * -ENOTSUP, before it has changed anything. */
static const struct eth_dev_ops *
secondary_ops(void)
{
	const struct eth_dev_ops *all = &mif_ethdev_ops;

	ops = (struct eth_dev_ops){
		.dev_infos_get = all->dev_infos_get,
		.dev_close = secondary_close,
		.rx_burst_mode_get = all->rx_burst_mode_get,
		.tx_burst_mode_get = all->tx_burst_mode_get,
		.dev_supported_ptypes_get = all->dev_supported_ptypes_get,
		.link_update = all->link_update,
		.promiscuous_enable = all->promiscuous_enable,
		.promiscuous_disable = all->promiscuous_disable,
		.allmulticast_enable = all->allmulticast_enable,
		.allmulticast_disable = all->allmulticast_disable,
		.stats_get = all->stats_get,
		.stats_reset = all->stats_reset,
		.xstats_get = all->xstats_get,
		.xstats_get_names = all->xstats_get_names,
		.xstats_reset = all->xstats_reset,
		.eth_dev_priv_dump = secondary_dump,
	};
	return &ops;
}

static int
join(const char *name, uint16_t port)
{
	int ret;

	mif_ctrl_lock();
	ret = mif_ctrl_join();
	if (ret != 0) {
		mif_ctrl_unlock();
		return ret;
	}
	answered[port] = false;
	ret = find_primary();
	if (ret == 0)
		ret = say(MIF_MP_ATTACH, port);
	ports += ret == 0;
	mif_ctrl_unlock();
	if (ret != 0) {
		MIF_LOG(ERR, name, "the primary process cannot be asked for its connections: %s",
				strerror(-ret));
		mif_ctrl_leave();
	}
	return ret;
}

/* The primary has said what there is, and if that is a connection, all of it. */
static bool
is_told(const struct rte_eth_dev *dev)
{
	uint16_t port = dev->data->port_id;
	const struct view *view;
	struct rte_eth_link link;
	bool told;

	rte_eth_linkstatus_get(dev, &link);
	mif_ctrl_lock();
	told = answered[port] && link.link_status == RTE_ETH_LINK_DOWN;
	TAILQ_FOREACH(view, &views, next) {
		if (view->port == port)
			told = view->broken || view->passed == view->total;
	}
	mif_ctrl_unlock();
	return told;
}

/* So that the first bursts of an application find the connection. It comes later if the primary is
 * slow, or waits for this probe itself. */
static void
wait_for_answer(const struct rte_eth_dev *dev)
{
	for (int ms = 0; ms < ANSWER_MS && !is_told(dev); ms++)
		rte_delay_us_sleep(1000);
}

int
mif_secondary_probe(struct rte_vdev_device *vdev)
{
	const char *name = rte_vdev_device_name(vdev);
	struct rte_eth_dev *dev = rte_eth_dev_attach_secondary(name);
	const struct mif_port *port;
	int ret;

	if (dev == NULL) {
		MIF_LOG(ERR, name, "the primary process has no such port: attach it there");
		return -ENODEV;
	}
	port = mif_port_of(dev);
	if (port->layout != MIF_PORT_LAYOUT) {
		MIF_LOG(ERR, name,
				"the primary process uses another driver for it, or another build of "
				"this one: start both with the same -d");
		rte_eth_dev_release_port(dev);
		return -EINVAL;
	}
	dev->device = &vdev->device;
	dev->dev_ops = secondary_ops();
	mif_burst_choose(dev, &port->args);
	mif_queue_ops_set(dev);
	if (port->args.zero_copy && port->args.role == MIF_SERVER)
		MIF_LOG(NOTICE, name,
				"zero-copy=yes: what the port receives in a secondary process is copied");
	ret = join(name, dev->data->port_id);
	if (ret != 0) {
		rte_eth_dev_release_port(dev);
		return ret;
	}
	wait_for_answer(dev);
	rte_eth_dev_probing_finish(dev);
	return 0;
}

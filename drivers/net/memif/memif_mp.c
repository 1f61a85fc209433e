/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <ethdev_driver.h>
#include <rte_common.h>
#include <rte_eal.h>
#include <rte_errno.h>

#include "memif_ctrl.h"
#include "memif_link.h"
#include "memif_log.h"
#include "memif_mp.h"
#include "memif_mp_chan.h"
#include "memif_queue.h"
#include "memif_zc_memory.h"

#define DRIVER "net_memif"
#define RETRY_MS 20 /* until the next look whether a secondary reads its messages again */

/* What a secondary knows of a port. */
struct follow {
	bool on;
	bool keep_due;	 /* a connection has been given back since the last KEEP */
	uint64_t told;	 /* the newest connection that it has been told of */
	uint32_t passed; /* items of it */
};

/* A secondary process. */
struct secondary {
	struct mif_watch sock;
	struct mif_watch life; /* becomes readable when the process is gone; fd -1 without pidfds */
	struct mif_timer retry;
	uint32_t number; /* in gates and locks; never used again */
	pid_t pid;
	struct follow ports[RTE_MAX_ETHPORTS];
	TAILQ_ENTRY(secondary) next;
};

/* All under the control lock but for the pipe's end, which has its own: DPDK's thread for messages
 * must not wait for the control thread, as that may wait for it (for memory). */
static TAILQ_HEAD(, secondary) secondaries = TAILQ_HEAD_INITIALIZER(secondaries);
static TAILQ_HEAD(, mif_link) links = TAILQ_HEAD_INITIALIZER(links);
static uint32_t last_number = MIF_GATE_PRIMARY;
static struct mif_watch arrivals = { .fd = -1 }; /* numbers of files come through this pipe */
static pthread_mutex_t door_lock = PTHREAD_MUTEX_INITIALIZER;
static int door = -1;

/* --- what a link consists of, for others --- */

/* What a zero-copy client exposes is DPDK's memory, which all processes have. */
static uint32_t
mapped_regions(const struct mif_link *link)
{
	return link->memory == NULL ? link->shared->region_count : link->memory->first;
}

static uint32_t
rings_with_events(const struct mif_link *link)
{
	return link->end_count[link->role == MIF_CLIENT ? MIF_C2S : MIF_S2C];
}

/* Items of a link: regions, then the eventfds of its transmit rings. 0 if a file is missing. */
static uint32_t
count_items(const struct mif_link *link)
{
	for (uint32_t i = 0; i < mapped_regions(link); i++) {
		if (link->regions[i].fd < 0)
			return 0;
	}
	return mapped_regions(link) + rings_with_events(link);
}

static int
fill_item(const struct mif_link *link, uint32_t number, struct mif_mp_item *item)
{
	uint32_t regions = mapped_regions(link);
	const struct mif_region *region = &link->regions[number];

	*item = (struct mif_mp_item){ .index = (uint16_t)number };
	if (number >= regions) {
		item->index = (uint16_t)(number - regions);
		return link->event_fds[link->role == MIF_CLIENT ? MIF_C2S : MIF_S2C][item->index];
	}
	item->addr = (uintptr_t)region->addr;
	item->size = region->size;
	item->page_size = region->page_size;
	item->sealed = region->sealed;
	return region->fd;
}

/* --- telling --- */

static int
send_keep(struct secondary *secondary, uint16_t port)
{
	struct mif_mp_msg msg = { .type = MIF_MP_KEEP, .port = port };
	const struct mif_link *link;

	TAILQ_FOREACH(link, &links, mp.next) {
		if (link->mp.port != port)
			continue;
		/* More than can be said: some burst has been stuck for long. Later, then. */
		if (msg.count == MIF_MP_ITEMS)
			return 0;
		msg.keep[msg.count++] = link->shared->generation;
	}
	return mif_mp_send(secondary->sock.fd, &msg, NULL, 0);
}

static int
send_part(struct secondary *secondary, const struct mif_link *link, struct follow *follow)
{
	uint32_t total = count_items(link);
	struct mif_mp_msg msg = {
		.type = MIF_MP_LINK,
		.port = link->mp.port,
		.generation = link->shared->generation,
		.shared = (uintptr_t)link->shared,
		.total = total,
		.count = (uint16_t)RTE_MIN(total - follow->passed, (uint32_t)MIF_MP_ITEMS),
	};
	int fds[MIF_MP_ITEMS];
	int ret;

	for (uint32_t i = 0; i < msg.count; i++)
		fds[i] = fill_item(link, follow->passed + i, &msg.items[i]);
	ret = mif_mp_send(secondary->sock.fd, &msg, fds, msg.count);
	if (ret == 0)
		follow->passed += msg.count;
	return ret;
}

static int
send_link(struct secondary *secondary, const struct mif_link *link, struct follow *follow)
{
	int ret;

	if (follow->told != link->shared->generation) {
		follow->told = link->shared->generation;
		follow->passed = 0;
	} else if (follow->passed == count_items(link)) {
		return 0;
	}
	do {
		ret = send_part(secondary, link, follow);
	} while (ret == 0 && follow->passed < count_items(link));
	return ret;
}

static const struct mif_link *
connection_of(uint16_t port)
{
	const struct mif_link *link;

	TAILQ_FOREACH(link, &links, mp.next) {
		if (link->mp.port == port && link->mp.attached)
			return link;
	}
	return NULL;
}

/* Say what has not been said. What cannot be sent now is said later: the state counts, not the
 * messages, so a secondary that sleeps for long misses nothing that it needs. */
static void
tell(struct secondary *secondary, uint16_t port)
{
	struct follow *follow = &secondary->ports[port];
	const struct mif_link *link = connection_of(port);
	int ret = 0;

	if (!follow->on)
		return;
	/* First what is over: its addresses may be used again. */
	if (follow->keep_due) {
		ret = send_keep(secondary, port);
		follow->keep_due = ret != 0;
	}
	if (ret == 0 && link != NULL)
		ret = send_link(secondary, link, follow);
	if (ret != 0)
		mif_ctrl_arm(&secondary->retry, RETRY_MS);
}

static void
tell_again(struct mif_timer *timer)
{
	struct secondary *secondary = container_of(timer, struct secondary, retry);

	for (uint16_t port = 0; port < RTE_MAX_ETHPORTS; port++)
		tell(secondary, port);
}

void
mif_mp_publish(struct mif_link *link, uint16_t port_id)
{
	struct secondary *secondary;

	link->mp = (struct mif_mp_entry){ .port = port_id, .listed = true, .attached = true };
	TAILQ_INSERT_TAIL(&links, link, mp.next);
	TAILQ_FOREACH(secondary, &secondaries, next)
		tell(secondary, port_id);
}

void
mif_mp_retract(struct mif_link *link)
{
	link->mp.attached = false;
}

void
mif_mp_withdraw(struct mif_link *link)
{
	struct secondary *secondary;

	if (!link->mp.listed)
		return;
	TAILQ_REMOVE(&links, link, mp.next);
	link->mp.listed = false;
	TAILQ_FOREACH(secondary, &secondaries, next) {
		secondary->ports[link->mp.port].keep_due = true;
		tell(secondary, link->mp.port);
	}
}

/* --- a secondary comes, and goes --- */

static void
free_secondary(struct mif_watch *watch)
{
	free(container_of(watch, struct secondary, sock));
}

static void
forget(struct mif_watch *watch)
{
	if (watch->fd < 0)
		return;
	mif_ctrl_unwatch(watch);
	close(watch->fd);
	watch->fd = -1;
}

/*
 * What a process has left that was killed in a burst: nobody waits for it, and the rings that it
 * was writing to are not used any more.
 */
static void
heal(const struct secondary *secondary)
{
	struct mif_link *link;
	bool closed = false;
	bool inside = mif_queue_heal(secondary->number, &closed);

	TAILQ_FOREACH(link, &links, mp.next) {
		if (closed && link->mp.attached && secondary->ports[link->mp.port].on)
			mif_queue_fault(link->shared, MIF_FAULT_PROCESS);
	}
	/* Only now: who gets a lock sees that the ring is at fault. */
	TAILQ_FOREACH(link, &links, mp.next)
		inside |= mif_link_heal(link, secondary->number);
	if (inside)
		MIF_LOG(WARNING, DRIVER,
				"secondary process %d ended inside a burst: its mbufs are lost",
				secondary->pid);
}

static void
remove_secondary(struct secondary *secondary)
{
	TAILQ_REMOVE(&secondaries, secondary, next);
	mif_ctrl_disarm(&secondary->retry);
	forget(&secondary->sock);
	forget(&secondary->life);
	mif_ctrl_bury(&secondary->sock);
}

static void
bid_farewell(struct secondary *secondary)
{
	MIF_LOG(INFO, DRIVER, "secondary process %d is gone", secondary->pid);
	heal(secondary);
	remove_secondary(secondary);
}

static void
on_end(struct mif_watch *watch, uint32_t events)
{
	RTE_SET_USED(events);
	bid_farewell(container_of(watch, struct secondary, life));
}

static void
on_message(struct mif_watch *watch, uint32_t events)
{
	struct secondary *secondary = container_of(watch, struct secondary, sock);
	int fds[MIF_MP_ITEMS];
	struct mif_mp_msg msg;
	unsigned int count;
	int ret = mif_mp_recv(watch->fd, &msg, fds, &count);

	RTE_SET_USED(events);
	if (ret == -EAGAIN)
		return;
	for (unsigned int i = 0; ret == 0 && i < count; i++)
		close(fds[i]);
	if (ret != 0 || msg.port >= RTE_MAX_ETHPORTS) {
		bid_farewell(secondary);
		return;
	}
	/* KEEP is the answer to ATTACH, also when there is no connection. */
	secondary->ports[msg.port] = (struct follow){
		.on = msg.type == MIF_MP_ATTACH,
		.keep_due = true,
	};
	tell(secondary, msg.port);
}

/* The kernel tells the process that made the socket pair. */
static pid_t
maker_of(int sock)
{
	struct ucred maker = { 0 };
	socklen_t size = sizeof(maker);

	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &maker, &size) == 0 ? maker.pid : 0;
}

/*
 * A killed process's socket closes when its last thread is gone. But a child that it has forked may
 * hold the socket too: hence the second watch. Without it (kernels before 5.3, a process of a
 * foreign PID namespace) there is the socket.
 */
static void
watch_life(struct secondary *secondary)
{
	secondary->life.ready = on_end;
	secondary->life.fd = secondary->pid <= 0 ? -1 :
						   (int)syscall(__NR_pidfd_open, secondary->pid, 0);
	if (secondary->life.fd >= 0 && mif_ctrl_watch(&secondary->life) != 0) {
		close(secondary->life.fd);
		secondary->life.fd = -1;
	}
}

static int
welcome(struct secondary *secondary)
{
	int kick = mif_ctrl_kick_fd();
	struct mif_mp_msg msg = {
		.type = MIF_MP_WELCOME,
		.process = secondary->number,
		.fence = mif_gate_share() != 0,
	};

	return mif_mp_send(secondary->sock.fd, &msg, &kick, 1);
}

static void
add_secondary(int sock)
{
	struct secondary *secondary = calloc(1, sizeof(*secondary));
	int ret;

	if (secondary == NULL) {
		close(sock);
		return;
	}
	secondary->sock = (struct mif_watch){
		.fd = sock, .ready = on_message, .bury = free_secondary
	};
	secondary->retry.fire = tell_again;
	secondary->number = ++last_number;
	secondary->pid = maker_of(sock);
	ret = mif_ctrl_watch(&secondary->sock);
	if (ret == 0)
		ret = welcome(secondary);
	if (ret != 0) {
		/* It may have come only for a look, and be gone. */
		if (ret != -EPIPE)
			MIF_LOG(ERR, DRIVER, "secondary process %d cannot be served: %s",
					secondary->pid, strerror(-ret));
		mif_ctrl_unwatch(&secondary->sock);
		close(sock);
		free(secondary);
		return;
	}
	watch_life(secondary);
	TAILQ_INSERT_TAIL(&secondaries, secondary, next);
	MIF_LOG(INFO, DRIVER, "secondary process %d has come, its number is %u", secondary->pid,
			secondary->number);
}

/* --- the door --- */

/* On DPDK's thread for messages, which must go on. */
static int
on_hello(const struct rte_mp_msg *msg, const void *peer)
{
	int fd = msg->fds[0];
	bool passed;

	RTE_SET_USED(peer);
	if (msg->num_fds != 1)
		return -1;
	pthread_mutex_lock(&door_lock);
	passed = door >= 0 && write(door, &fd, sizeof(fd)) == sizeof(fd);
	pthread_mutex_unlock(&door_lock);
	if (!passed)
		close(fd);
	return 0;
}

static void
on_arrival(struct mif_watch *watch, uint32_t events)
{
	int fd;

	RTE_SET_USED(events);
	if (read(watch->fd, &fd, sizeof(fd)) == sizeof(fd))
		add_secondary(fd);
}

static void
set_door(int fd)
{
	pthread_mutex_lock(&door_lock);
	door = fd;
	pthread_mutex_unlock(&door_lock);
}

static int
open_door(void)
{
	int ends[2];
	int ret;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return -errno;
	arrivals.fd = ends[0];
	arrivals.ready = on_arrival;
	ret = mif_ctrl_watch(&arrivals);
	if (ret == 0 && rte_mp_action_register(MIF_MP_HELLO, on_hello) != 0)
		ret = -rte_errno;
	if (ret != 0) {
		forget(&arrivals);
		close(ends[1]);
		return ret;
	}
	set_door(ends[1]);
	return 0;
}

int
mif_mp_open(void)
{
	int ret;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return 0;
	ret = open_door();
	/* With --in-memory or --no-shconf there are no secondaries. */
	if (ret == -ENOTSUP)
		return 0;
	if (ret != 0) {
		MIF_LOG(ERR, DRIVER, "no files for secondary processes: %s", strerror(-ret));
		return ret;
	}
	mif_region_share();
	return 0;
}

void
mif_mp_close(void)
{
	int fd;

	if (arrivals.fd < 0)
		return;
	rte_mp_action_unregister(MIF_MP_HELLO);
	fd = door;
	set_door(-1);
	close(fd);
	while (read(arrivals.fd, &fd, sizeof(fd)) == sizeof(fd))
		close(fd);
	forget(&arrivals);
	while (!TAILQ_EMPTY(&secondaries))
		remove_secondary(TAILQ_FIRST(&secondaries));
}

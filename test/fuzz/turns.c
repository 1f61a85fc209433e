/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <ethdev_driver.h>

#include "fuzz.h"
#include "memif_ctrl.h"
#include "memif_gate.h"
#include "memif_link.h"
#include "memif_notify.h"
#include "memif_port.h"
#include "memif_queue.h"
#include "turns.h"

#define EVENTS_PER_TURN 64
#define TURNS_MAX 100000
#define CLOSING_READS_MOST 32

uint64_t turns_kicks;
static struct mif_notifier notifier;
static struct mif_port_list ports = TAILQ_HEAD_INITIALIZER(ports);
static TAILQ_HEAD(, mif_timer) timers = TAILQ_HEAD_INITIALIZER(timers);
static STAILQ_HEAD(, mif_watch) dead = STAILQ_HEAD_INITIALIZER(dead);
static uint64_t now = 1000000;
static unsigned int watched, armed;
static int epoll, kick_fd;
static bool locked;
static bool looking; /* after receivers that have gone to sleep */
static int its_turn = -1;
static unsigned int messages_read;

__attribute__((constructor)) static void
open_files(void)
{
	epoll = epoll_create1(EPOLL_CLOEXEC);
	kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	FUZZ_CHECK(epoll >= 0 && kick_fd >= 0, "no files");
	FUZZ_CHECK(mif_notifier_open(&notifier) == 0, "no notifier");
	mif_gate_setup();
}

void
mif_ctrl_lock(void)
{
	FUZZ_CHECK(!locked, "a dead-lock");
	locked = true;
}

void
mif_ctrl_unlock(void)
{
	FUZZ_CHECK(locked, "not locked");
	locked = false;
}

int
mif_ctrl_join(void)
{
	FUZZ_CHECK(locked, "not locked");
	return 0;
}

void
mif_ctrl_leave(void)
{
	FUZZ_CHECK(!locked, "locked");
}

int
mif_ctrl_add_port(struct mif_port *port)
{
	FUZZ_CHECK(locked, "not locked");
	TAILQ_INSERT_TAIL(&ports, port, next);
	return 0;
}

void
mif_ctrl_remove_port(struct mif_port *port)
{
	mif_ctrl_lock();
	TAILQ_REMOVE(&ports, port, next);
	mif_ctrl_unlock();
}

struct mif_port_list *
mif_ctrl_ports(void)
{
	FUZZ_CHECK(locked, "not locked");
	return &ports;
}

uint64_t
mif_ctrl_now(void)
{
	return now;
}

int
mif_ctrl_watch(struct mif_watch *watch)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = watch };

	FUZZ_CHECK(locked, "not locked");
	FUZZ_CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, watch->fd, &event) == 0, "fd %d: %s", watch->fd,
			strerror(errno));
	watched++;
	return 0;
}

void
mif_ctrl_unwatch(struct mif_watch *watch)
{
	FUZZ_CHECK(locked, "not locked");
	FUZZ_CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, watch->fd, NULL) == 0, "fd %d: %s", watch->fd,
			strerror(errno));
	watched--;
}

void
mif_ctrl_bury(struct mif_watch *watch)
{
	FUZZ_CHECK(locked, "not locked");
	STAILQ_INSERT_TAIL(&dead, watch, next_dead);
}

void
mif_ctrl_look_after(void)
{
	looking = true;
}

void
mif_ctrl_arm(struct mif_timer *timer, uint64_t ms)
{
	FUZZ_CHECK(locked, "not locked");
	mif_ctrl_disarm(timer);
	timer->due = now + ms;
	timer->armed = true;
	TAILQ_INSERT_TAIL(&timers, timer, next);
	armed++;
}

void
mif_ctrl_disarm(struct mif_timer *timer)
{
	if (!timer->armed)
		return;
	TAILQ_REMOVE(&timers, timer, next);
	timer->armed = false;
	armed--;
}

/* The target itself takes turns, and no port of it is stopped in a callback. */
void
mif_ctrl_serve(void)
{
	FUZZ_CHECK(locked, "not locked");
}

void
mif_ctrl_kick(void)
{
	turns_kicks++;
}

int
mif_ctrl_kick_fd(void)
{
	return kick_fd;
}

struct mif_notifier *
mif_ctrl_notifier(void)
{
	return &notifier;
}

static bool
fire_one(void)
{
	struct mif_timer *timer;

	TAILQ_FOREACH(timer, &timers, next) {
		if (timer->due > now)
			continue;
		mif_ctrl_disarm(timer);
		timer->fire(timer);
		return true;
	}
	return false;
}

static bool
report_links(void)
{
	struct rte_eth_dev *dev;
	bool done = false;

	mif_ctrl_lock();
	while ((dev = mif_port_take_link_event(&ports)) != NULL) {
		mif_ctrl_unlock();
		rte_eth_dev_callback_process(dev, RTE_ETH_EVENT_INTR_LSC, NULL);
		mif_ctrl_lock();
		done = true;
	}
	mif_ctrl_unlock();
	return done;
}

/* The driver calls this in place of the C library's. */
ssize_t
recvmsg(int sock, struct msghdr *message, int flags)
{
	ssize_t length = syscall(SYS_recvmsg, sock, message, flags);

	messages_read += length >= 0 && sock == its_turn;
	return length;
}

/* It may read one message; when it closes the socket, some more, which are of no use any more. */
static void
let_read(struct mif_watch *watch, uint32_t events)
{
	its_turn = watch->fd;
	messages_read = 0;
	watch->ready(watch, events);
	its_turn = -1;
	FUZZ_CHECK(messages_read <= 1 + (watch->fd < 0 ? CLOSING_READS_MOST : 0),
			"%u messages read in a turn", messages_read);
}

bool
turns_one(void)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int count = epoll_wait(epoll, events, EVENTS_PER_TURN, 0);
	struct mif_watch *watch;
	bool fired;

	mif_ctrl_lock();
	for (int i = 0; i < count; i++) {
		watch = events[i].data.ptr;
		/* An earlier handler of this turn may have ended it. */
		if (watch->fd >= 0)
			let_read(watch, events[i].events);
	}
	mif_port_check_links(&ports);
	fired = fire_one();
	looking = looking && mif_queue_look_after();
	FUZZ_CHECK(mif_link_reap() == 0, "a link waits, though no burst is under way");
	while ((watch = STAILQ_FIRST(&dead)) != NULL) {
		STAILQ_REMOVE_HEAD(&dead, next_dead);
		watch->bury(watch);
	}
	mif_ctrl_unlock();
	return report_links() || count > 0 || fired;
}

void
turns_all(void)
{
	for (int i = 0; turns_one(); i++)
		FUZZ_CHECK(i < TURNS_MAX, "it never comes to rest");
}

void
turns_pass(uint64_t ms)
{
	now += ms;
}

unsigned int
turns_watched(void)
{
	return watched;
}

unsigned int
turns_armed(void)
{
	return armed;
}

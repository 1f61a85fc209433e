/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <ethdev_driver.h>
#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_errno.h>

#include "memif_compat.h"
#include "memif_ctrl.h"
#include "memif_gate.h"
#include "memif_link.h"
#include "memif_log.h"
#include "memif_mp.h"
#include "memif_notify.h"
#include "memif_port.h"
#include "memif_queue.h"

#define DRIVER "net_memif"
#define EVENTS_PER_TURN 64
#define TURN_MAX_MS 10000
#define REAP_MS 1 /* between two looks at bursts that were under way at a disconnect */
#define LAST_BURST_MS 1000
#define LOOK_MS 10 /* between two looks at the rings of sleeping receivers */

/* One life of the control thread, from a first port to a last one. */
struct ctrl {
	int epoll;
	int kick;
	mif_thread thread;
	bool stop;
	bool orphan;	       /* nobody joins the thread: it frees this itself */
	bool callback;	       /* an application's callback is running */
	bool stuck;	       /* a burst has not ended and may still use what is here */
	unsigned int users;    /* ports */
	unsigned int removers; /* threads between removing a port and ending this */
	atomic_bool looking;   /* after receivers that have gone to sleep */
	struct mif_timer look;
	struct mif_notifier notifier;
	struct mif_port_list ports;
	TAILQ_HEAD(, mif_timer) timers;
	STAILQ_HEAD(, mif_watch) dead;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ctrl *current; /* NULL without ports */

/* The life that this thread is the control thread of. */
static __thread struct ctrl *own;

void
mif_ctrl_lock(void)
{
	pthread_mutex_lock(&lock);
}

void
mif_ctrl_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

struct mif_port_list *
mif_ctrl_ports(void)
{
	return current == NULL ? NULL : &current->ports;
}

struct mif_notifier *
mif_ctrl_notifier(void)
{
	return &current->notifier;
}

uint64_t
mif_ctrl_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
kick(struct ctrl *ctrl)
{
	const uint64_t one = 1;

	/* It is full only if the thread is about to wake up anyway. */
	if (write(ctrl->kick, &one, sizeof(one)) < 0)
		return;
}

void
mif_ctrl_kick(void)
{
	kick(current);
}

void
mif_ctrl_look_after(void)
{
	/* Pairs with look(): either that one sees for which queue it is, or we see that it ends. */
	if (!atomic_exchange(&current->looking, true))
		kick(current);
}

int
mif_ctrl_kick_fd(void)
{
	return current->kick;
}

int
mif_ctrl_watch(struct mif_watch *watch)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = watch };

	return epoll_ctl(current->epoll, EPOLL_CTL_ADD, watch->fd, &event) == 0 ? 0 : -errno;
}

void
mif_ctrl_unwatch(struct mif_watch *watch)
{
	epoll_ctl(current->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
}

void
mif_ctrl_bury(struct mif_watch *watch)
{
	STAILQ_INSERT_TAIL(&current->dead, watch, next_dead);
	kick(current);
}

void
mif_ctrl_arm(struct mif_timer *timer, uint64_t ms)
{
	mif_ctrl_disarm(timer);
	timer->due = mif_ctrl_now() + ms;
	timer->armed = true;
	TAILQ_INSERT_TAIL(&current->timers, timer, next);
	if (own != current)
		kick(current);
}

void
mif_ctrl_disarm(struct mif_timer *timer)
{
	if (!timer->armed)
		return;
	TAILQ_REMOVE(&current->timers, timer, next);
	timer->armed = false;
}

static int
turn_length(const struct ctrl *ctrl)
{
	uint64_t now = mif_ctrl_now();
	uint64_t wait = TURN_MAX_MS;
	const struct mif_timer *timer;

	TAILQ_FOREACH(timer, &ctrl->timers, next)
		wait = RTE_MIN(wait, timer->due > now ? timer->due - now : 0);
	if (mif_link_reap() != 0)
		wait = RTE_MIN(wait, (uint64_t)REAP_MS);
	return (int)wait;
}

static void
fire_timers(struct ctrl *ctrl)
{
	uint64_t now = mif_ctrl_now();
	struct mif_timer *timer;

	/* A timer may arm and disarm others, so begin anew after each. One that arms itself again
	 * for now does so once: its next pause is longer. */
	do {
		TAILQ_FOREACH(timer, &ctrl->timers, next) {
			if (timer->due <= now)
				break;
		}
		if (timer != NULL) {
			mif_ctrl_disarm(timer);
			timer->fire(timer);
		}
	} while (timer != NULL);
}

static void
look(struct mif_timer *timer)
{
	struct ctrl *ctrl = container_of(timer, struct ctrl, look);

	/* First: who comes to sleep while we look, and finds this, kicks us. */
	atomic_exchange(&ctrl->looking, false);
	if (mif_queue_look_after())
		atomic_store(&ctrl->looking, true);
}

static void
bury_dead(struct ctrl *ctrl)
{
	struct mif_watch *watch;

	while ((watch = STAILQ_FIRST(&ctrl->dead)) != NULL) {
		STAILQ_REMOVE_HEAD(&ctrl->dead, next_dead);
		watch->bury(watch);
	}
}

/* A callback may close its port, and others: begin anew after each. */
static void
report_links(struct ctrl *ctrl)
{
	struct rte_eth_dev *dev;

	mif_ctrl_lock();
	while ((dev = mif_port_take_link_event(&ctrl->ports)) != NULL) {
		ctrl->callback = true;
		mif_ctrl_unlock();
		rte_eth_dev_callback_process(dev, RTE_ETH_EVENT_INTR_LSC, NULL);
		mif_ctrl_lock();
		ctrl->callback = false;
	}
	mif_ctrl_unlock();
}

static void
take_kick(struct ctrl *ctrl)
{
	uint64_t count;

	if (read(ctrl->kick, &count, sizeof(count)) < 0)
		return;
}

static void
free_ctrl(struct ctrl *ctrl)
{
	bury_dead(ctrl);
	if (ctrl->stuck)
		return;
	mif_notifier_close(&ctrl->notifier);
	if (ctrl->kick >= 0)
		close(ctrl->kick);
	if (ctrl->epoll >= 0)
		close(ctrl->epoll);
	free(ctrl);
}

static void
dispatch(struct ctrl *ctrl, const struct epoll_event *events, int count)
{
	struct mif_watch *watch;

	for (int i = 0; i < count && !ctrl->stop; i++) {
		watch = events[i].data.ptr;
		if (watch == NULL)
			take_kick(ctrl);
		else if (watch->fd >= 0)
			watch->ready(watch, events[i].events);
	}
}

void
mif_ctrl_serve(void)
{
	struct epoll_event events[EVENTS_PER_TURN];

	if (own != NULL && own == current)
		dispatch(own, events, epoll_wait(own->epoll, events, EVENTS_PER_TURN, 0));
}

static void
turn(struct ctrl *ctrl)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int count, wait;

	mif_ctrl_lock();
	wait = turn_length(ctrl);
	mif_ctrl_unlock();
	count = epoll_wait(ctrl->epoll, events, EVENTS_PER_TURN, wait);

	mif_ctrl_lock();
	dispatch(ctrl, events, count);
	if (!ctrl->stop) {
		mif_port_check_links(&ctrl->ports);
		fire_timers(ctrl);
		if (atomic_load(&ctrl->looking) && !ctrl->look.armed)
			mif_ctrl_arm(&ctrl->look, LOOK_MS);
	}
	bury_dead(ctrl);
	mif_ctrl_unlock();
	report_links(ctrl);
}

static mif_thread_ret
run(void *arg)
{
	struct ctrl *ctrl = arg;
	bool orphan, stop;

	own = ctrl;
	do {
		turn(ctrl);
		mif_ctrl_lock();
		stop = ctrl->stop;
		orphan = ctrl->orphan;
		mif_ctrl_unlock();
	} while (!stop);
	if (orphan)
		free_ctrl(ctrl);
	return MIF_THREAD_RET;
}

static int
open_files(struct ctrl *ctrl)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
	int ret;

	ctrl->epoll = epoll_create1(EPOLL_CLOEXEC);
	ctrl->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ctrl->epoll < 0 || ctrl->kick < 0 ||
			epoll_ctl(ctrl->epoll, EPOLL_CTL_ADD, ctrl->kick, &event) != 0) {
		ret = -errno;
		MIF_LOG(ERR, DRIVER, "no files for the control thread: %s", strerror(-ret));
		return ret;
	}
	ret = mif_notifier_open(&ctrl->notifier);
	if (ret != 0)
		MIF_LOG(WARNING, DRIVER,
				"peers that sleep cannot be woken, io_setup says: %s; polling peers "
				"work (raise fs.aio-max-nr?)",
				strerror(-ret));
	return 0;
}

static int
start(void)
{
	struct ctrl *ctrl = calloc(1, sizeof(*ctrl));
	int ret;

	if (ctrl == NULL) {
		MIF_LOG(ERR, DRIVER, "no memory for the control thread");
		return -ENOMEM;
	}
	TAILQ_INIT(&ctrl->ports);
	TAILQ_INIT(&ctrl->timers);
	STAILQ_INIT(&ctrl->dead);
	ctrl->notifier.file = -1;
	ctrl->look.fire = look;
	ret = mif_gate_setup();
	if (ret != 0)
		MIF_LOG(INFO, DRIVER, "no membarrier (%s): bursts use a fence each",
				strerror(-ret));
	ret = open_files(ctrl);
	if (ret == 0) {
		ret = mif_thread_create(&ctrl->thread, "memif-ctrl", run, ctrl);
		if (ret != 0)
			MIF_LOG(ERR, DRIVER, "control thread cannot be started: %s",
					rte_strerror(-ret));
	}
	if (ret != 0) {
		free_ctrl(ctrl);
		return ret;
	}
	current = ctrl;
	mif_mp_open();
	return 0;
}

int
mif_ctrl_join(void)
{
	int ret = current == NULL ? start() : 0;

	if (ret == 0)
		current->users++;
	return ret;
}

int
mif_ctrl_add_port(struct mif_port *port)
{
	int ret = mif_ctrl_join();

	if (ret == 0)
		TAILQ_INSERT_TAIL(&current->ports, port, next);
	return ret;
}

/* Without ports nothing else waits for this thread, so here it may wait for a burst to end. */
static void
wait_for_bursts(struct ctrl *ctrl)
{
	for (int ms = 0; ctrl->users == 0 && mif_link_reap() != 0; ms++) {
		if (ms == LAST_BURST_MS) {
			MIF_LOG(ERR, DRIVER,
					"a burst has not ended for %d ms: its rings stay mapped",
					ms);
			ctrl->stuck = true;
			return;
		}
		mif_ctrl_unlock();
		rte_delay_us_sleep(1000);
		mif_ctrl_lock();
	}
}

/* Takes over the lock, and releases it. */
static void
leave(struct ctrl *ctrl)
{
	bool join;

	ctrl->users--;
	ctrl->removers++;
	wait_for_bursts(ctrl);
	/* Others may have come, or be about to end it themselves, while we waited. */
	if (--ctrl->removers != 0 || ctrl->users != 0) {
		mif_ctrl_unlock();
		return;
	}
	mif_mp_close();
	current = NULL;
	join = own != ctrl && !ctrl->callback;
	ctrl->orphan = !join;
	ctrl->stop = true;
	kick(ctrl);
	if (!join)
		mif_thread_detach(ctrl->thread);
	mif_ctrl_unlock();
	if (join) {
		mif_thread_join(ctrl->thread);
		free_ctrl(ctrl);
	}
}

void
mif_ctrl_leave(void)
{
	mif_ctrl_lock();
	leave(current);
}

void
mif_ctrl_remove_port(struct mif_port *port)
{
	mif_ctrl_lock();
	TAILQ_REMOVE(&current->ports, port, next);
	leave(current);
}

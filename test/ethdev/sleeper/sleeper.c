/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_mbuf.h>

#include "sleeper.h"

#define WATCHDOG_NS 500000000
#define LOOKS 6 /* of the watchdog, at the same trouble */

/* One polling thread, and its signal handler. */
static struct {
	uint16_t port;
	uint16_t queues;
	bool plain;
	volatile bool asleep;
	volatile uint64_t received;
	uint64_t answered;
	uint64_t wake_ups;
	uint64_t idle_wake_ups; /* without a packet */
	uint64_t refused;	/* answers that the port did not take */
	volatile uint64_t alarms;
	struct times wake_up_times;
} me;

/* Are there packets on it, and no event that says so? With one we are about to wake up, and a busy
 * machine has not let us. */
static bool
is_forgotten(uint16_t queue)
{
	struct pollfd file = { .fd = rte_eth_dev_rx_intr_ctl_q_get_fd(me.port, queue),
		.events = POLLIN };

	return rte_eth_rx_queue_count(me.port, queue) > 0 && poll(&file, 1, 0) == 0;
}

/*
 * The watchdog: packets that lie in a ring while we sleep, at some looks without one in between that
 * was received; a sender may be preempted before it has woken us. It runs on the polling thread, which
 * sleeps, so it may ask for the count.
 */
static void
watch(int signal)
{
	static const char text[] = "mif-intr: LOST WAKE-UP: asleep, and packets are waiting\n";
	static uint64_t received;
	static unsigned int looks;
	bool waiting = false;

	(void)signal;
	for (uint16_t i = 0; me.asleep && i < me.queues; i++)
		waiting |= is_forgotten(i);
	looks = waiting && me.received == received ? looks + 1 : waiting;
	received = me.received;
	if (looks < LOOKS)
		return;
	me.alarms++;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		return;
}

static bool
start_watchdog(void)
{
	const struct itimerspec period = {
		.it_interval = { .tv_nsec = WATCHDOG_NS },
		.it_value = { .tv_nsec = WATCHDOG_NS },
	};
	struct sigaction action = { .sa_handler = watch, .sa_flags = SA_RESTART };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	timer_t timer;

	/* glibc 2.36 has no other name for it. */
	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	return sigaction(SIGALRM, &action, NULL) == 0 &&
			timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 &&
			timer_settime(timer, 0, &period, NULL) == 0;
}

static bool
watch_stdin(struct rte_epoll_event *event)
{
	memset(event, 0, sizeof(*event));
	event->epdata.event = EPOLLIN;
	event->epdata.data = event;
	return rte_epoll_ctl(RTE_EPOLL_PER_THREAD, EPOLL_CTL_ADD, STDIN_FILENO, event) == 0;
}

static bool
watch_queues(void)
{
	int ret;

	for (uintptr_t i = 0; i < me.queues; i++) {
		ret = rte_eth_dev_rx_intr_ctl_q(me.port, (uint16_t)i, RTE_EPOLL_PER_THREAD,
				RTE_INTR_EVENT_ADD, (void *)i);
		if (ret != 0) {
			fprintf(stderr, "mif-intr: no interrupts of queue %lu: %s\n", i,
					strerror(-ret));
			return false;
		}
	}
	return true;
}

static uint64_t
xstat(const char *name)
{
	uint64_t id, value;

	if (rte_eth_xstats_get_id_by_name(me.port, name, &id) != 0 ||
			rte_eth_xstats_get_by_id(me.port, &id, &value, 1) != 1)
		return 0;
	return value;
}

static void
report(void)
{
	printf("{\"received\": %lu, \"answered\": %lu, \"refused\": %lu, \"wake_ups\": %lu, "
	       "\"idle_wake_ups\": %lu, \"alarms\": %lu, \"fd\": %d, \"connections\": %lu, "
	       "\"interrupts_taken\": %lu, ",
			me.received, me.answered, me.refused, me.wake_ups, me.idle_wake_ups,
			me.alarms, rte_eth_dev_rx_intr_ctl_q_get_fd(me.port, 0),
			xstat("connections"), xstat("rx_interrupts_taken"));
	times_print(&me.wake_up_times, "wake_up_ns");
	printf("}\n");
}

/* Stdin says something: "report", or the end. */
static bool
obey(void)
{
	char line[64];
	ssize_t length = read(STDIN_FILENO, line, sizeof(line));

	if (length > 0)
		report();
	return length > 0;
}

/* The sender's stamp; NULL for other packets. */
static struct stamp *
stamp_of(struct rte_mbuf *mbuf)
{
	struct stamp *stamp = rte_pktmbuf_mtod_offset(mbuf, struct stamp *, RTE_ETHER_HDR_LEN);

	return mbuf->pkt_len == RTE_ETHER_HDR_LEN + sizeof(*stamp) && stamp->magic == STAMP_MAGIC ?
			stamp :
			NULL;
}

static void
answer(uint16_t queue, struct rte_mbuf **mbufs, uint16_t count, uint64_t woken_ns)
{
	uint64_t now = now_ns();
	struct stamp *stamp;
	uint16_t sent;

	for (uint16_t i = 0; i < count; i++) {
		stamp = stamp_of(mbufs[i]);
		if (stamp == NULL)
			continue;
		stamp->received_ns = now;
		if (i == 0 && stamp->sent_ns < woken_ns)
			times_add(&me.wake_up_times, woken_ns - stamp->sent_ns);
	}
	me.received += count;
	sent = rte_eth_tx_burst(me.port, queue, mbufs, count);
	me.answered += sent;
	me.refused += count - sent;
	rte_pktmbuf_free_bulk(&mbufs[sent], count - sent);
}

/* Polls until there is nothing on any queue; returns how many packets there were. */
static uint64_t
poll_queues(uint64_t woken_ns)
{
	struct rte_mbuf *mbufs[BURST];
	uint64_t total = 0, before;
	uint16_t count;

	do {
		before = total;
		for (uint16_t i = 0; i < me.queues; i++) {
			count = rte_eth_rx_burst(me.port, i, mbufs, BURST);
			if (count == 0)
				continue;
			answer(i, mbufs, count, total == 0 ? woken_ns : 0);
			total += count;
		}
	} while (total != before);
	return total;
}

/* The same as sleep_once(), on the files of the queues: these say for how long they are ready. */
static bool
sleep_in_poll(bool *packets)
{
	struct pollfd files[QUEUES_MAX + 1] = { { .fd = STDIN_FILENO, .events = POLLIN } };
	int count;

	for (uint16_t i = 0; i < me.queues; i++) {
		files[i + 1].fd = rte_eth_dev_rx_intr_ctl_q_get_fd(me.port, i);
		files[i + 1].events = POLLIN;
	}
	me.asleep = true;
	do
		count = poll(files, me.queues + 1u, -1);
	while (count < 0 && errno == EINTR); /* the watchdog */
	me.asleep = false;
	for (uint16_t i = 0; i < me.queues; i++) {
		if (files[i + 1].revents == 0)
			continue;
		*packets = true;
		rte_eth_dev_rx_intr_disable(me.port, i);
	}
	return (files[0].revents == 0 || obey()) && count >= 0;
}

/* Sleeps without a time-out; false when it is time to end. */
static bool
sleep_once(const struct rte_epoll_event *stdin_event, bool *packets)
{
	struct rte_epoll_event events[QUEUES_MAX + 1];
	bool go_on = true;
	int count;

	*packets = false;
	for (uint16_t i = 0; i < me.queues; i++)
		rte_eth_dev_rx_intr_enable(me.port, i);
	if (me.plain)
		return sleep_in_poll(packets);
	me.asleep = true;
	count = rte_epoll_wait(RTE_EPOLL_PER_THREAD, events, QUEUES_MAX + 1, -1);
	me.asleep = false;
	for (int i = 0; i < count; i++) {
		if (events[i].epdata.data == stdin_event) {
			go_on = obey();
		} else {
			*packets = true;
			rte_eth_dev_rx_intr_disable(me.port,
					(uint16_t)(uintptr_t)events[i].epdata.data);
		}
	}
	return go_on && count >= 0;
}

int
run_sleeper(uint16_t port, const struct options *options)
{
	static struct rte_epoll_event stdin_event;
	uint64_t woken_ns;
	bool packets;

	me.port = port;
	me.queues = options->queues;
	me.plain = options->plain;
	if (!watch_queues() || !watch_stdin(&stdin_event) || !start_watchdog()) {
		fprintf(stderr, "mif-intr: cannot wait: %s\n", strerror(errno));
		return 2;
	}
	printf("mif-intr: asleep\n");
	poll_queues(0);
	while (sleep_once(&stdin_event, &packets)) {
		woken_ns = now_ns();
		me.wake_ups += packets;
		if (poll_queues(woken_ns) == 0)
			me.idle_wake_ups += packets;
	}
	report();
	return me.alarms == 0 ? 0 : 1;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "ports.h"
#include "threads.h"

#define BURST 32
#define BURSTS_PER_VISIT 8
#define MESSAGE 128
#define FDS_MAX 256
#define XSTATS_MAX 256
#define KEPT 24 /* packets that a poller keeps, of all ports */

/** One thread. */
struct worker {
	pthread_t thread;
	void (*step)(struct worker *worker, struct port *port);
	uint32_t seed;
	unsigned int number;	     /**< of a poller */
	unsigned int pause;	     /**< microseconds at most after each step */
	struct rte_mbuf *kept[KEPT]; /**< of a poller; NULL for none */
};

static atomic_bool over;

static uint32_t
pick(struct worker *worker, uint32_t limit)
{
	return random_below(&worker->seed, limit);
}

/* --- the data path --- */

static uint16_t
make_packets(struct worker *worker, struct rte_mbuf **mbufs)
{
	uint16_t count = (uint16_t)(1 + pick(worker, BURST));
	uint16_t length;

	if (rte_pktmbuf_alloc_bulk(pools[worker->number], mbufs, count) != 0)
		return 0;
	for (uint16_t i = 0; i < count; i++) {
		length = (uint16_t)(14 + pick(worker, pick(worker, 8) == 0 ? 1500 : 120));
		memset(rte_pktmbuf_append(mbufs[i], length), i, length);
	}
	return count;
}

static void
send_some(struct worker *worker, uint16_t id, uint16_t queue)
{
	struct rte_mbuf *mbufs[BURST];
	uint16_t count = make_packets(worker, mbufs);
	uint16_t sent = rte_eth_tx_burst(id, queue, mbufs, count);

	rte_pktmbuf_free_bulk(&mbufs[sent], count - sent);
	atomic_fetch_add_explicit(&tally.sent, sent, memory_order_relaxed);
}

/* Some are kept for a while, over disconnects and the end of their port. */
static void
keep_some(struct worker *worker, struct rte_mbuf **mbufs, uint16_t count)
{
	struct rte_mbuf *one;
	uint32_t place;

	for (uint16_t i = 0; i < count && pick(worker, 4) == 0; i++) {
		place = pick(worker, KEPT);
		one = worker->kept[place];
		worker->kept[place] = mbufs[i];
		mbufs[i] = one;
	}
}

static void
receive_some(struct worker *worker, uint16_t id, uint16_t queue)
{
	struct rte_mbuf *mbufs[BURST];
	uint16_t count = rte_eth_rx_burst(id, queue, mbufs, BURST);

	keep_some(worker, mbufs, count);
	rte_pktmbuf_free_bulk(mbufs, count);
	atomic_fetch_add_explicit(&tally.received, count, memory_order_relaxed);
}

static void
poll_port(struct worker *worker, struct port *port)
{
	if (pthread_mutex_trylock(&port->polled[worker->number]) != 0)
		return;
	for (int i = 0; i < BURSTS_PER_VISIT && port->started; i++) {
		for (uint16_t queue = 0; queue < port->rx_queues; queue++) {
			if (poller_of(port, true, queue) == worker->number)
				receive_some(worker, port->id, queue);
		}
		for (uint16_t queue = 0; queue < port->tx_queues; queue++) {
			if (poller_of(port, false, queue) == worker->number)
				send_some(worker, port->id, queue);
		}
	}
	pthread_mutex_unlock(&port->polled[worker->number]);
}

/* --- what an operator does --- */

/* Down while its pollers are in bursts: nothing but the driver keeps the two apart. */
static void
change_state(struct worker *worker, struct port *port)
{
	pthread_rwlock_rdlock(&port->life);
	pthread_mutex_lock(&port->state);
	if (port->attached && pick(worker, 4) == 0) {
		ports_restart(port);
	} else if (port->attached) {
		CHECK(rte_eth_dev_set_link_down(port->id) == 0);
		if (pick(worker, 2) == 0)
			rte_delay_us_sleep(pick(worker, 1000));
		CHECK(rte_eth_dev_set_link_up(port->id) == 0);
	}
	pthread_mutex_unlock(&port->state);
	pthread_rwlock_unlock(&port->life);
}

static void
come_and_go(struct worker *worker, struct port *port)
{
	/* Now and then all of them: then the control thread ends, and another one begins. */
	unsigned int count = pick(worker, 6) == 0 ? PORTS : 1;

	for (unsigned int i = 0; i < count; i++) {
		port = count == 1 ? port : &ports[i];
		pthread_rwlock_wrlock(&port->life);
		if (port->attached && (count > 1 || pick(worker, 2) == 0))
			ports_detach(port);
		else if (port->attached)
			ports_reconfigure(port, &worker->seed);
		else
			ports_attach(port, &worker->seed);
		pthread_rwlock_unlock(&port->life);
	}
	/* None is left out for long. */
	for (unsigned int i = 0; i < PORTS; i++) {
		pthread_rwlock_wrlock(&ports[i].life);
		if (!ports[i].attached)
			ports_attach(&ports[i], &worker->seed);
		pthread_rwlock_unlock(&ports[i].life);
	}
}

/* How full rings are. DPDK takes these functions away from a port that stops, so it must not. */
static void
look_at_rings(struct worker *worker, struct port *port)
{
	uint16_t queue = (uint16_t)pick(worker, port->rx_queues);
	uint16_t slot = (uint16_t)pick(worker, 32);

	if (pthread_mutex_trylock(&port->state) != 0)
		return;
	if (port->started) {
		CHECK(rte_eth_rx_queue_count(port->id, queue) >= 0);
		rte_eth_rx_descriptor_status(port->id, queue, slot);
		queue = (uint16_t)pick(worker, port->tx_queues);
		rte_eth_tx_descriptor_status(port->id, queue, slot);
	}
	pthread_mutex_unlock(&port->state);
}

static void
read_all(struct worker *worker, struct port *port)
{
	struct rte_eth_xstat xstats[XSTATS_MAX];
	struct rte_eth_stats stats;
	struct rte_eth_link link;
	FILE *nowhere;

	pthread_rwlock_rdlock(&port->life);
	if (port->attached) {
		CHECK(rte_eth_stats_get(port->id, &stats) == 0);
		CHECK(rte_eth_xstats_get(port->id, xstats, XSTATS_MAX) > 0);
		CHECK(rte_eth_link_get_nowait(port->id, &link) == 0);
		nowhere = fopen("/dev/null", "w");
		CHECK(nowhere != NULL && rte_eth_dev_priv_dump(port->id, nowhere) == 0);
		fclose(nowhere);
		look_at_rings(worker, port);
		if (pick(worker, 16) == 0)
			CHECK(rte_eth_stats_reset(port->id) == 0);
		atomic_fetch_add_explicit(&tally.reads, 1, memory_order_relaxed);
	}
	pthread_rwlock_unlock(&port->life);
}

static void
sleep_for_packets(struct worker *worker, struct port *port)
{
	struct epoll_event events[1];
	uint16_t queue;

	pthread_rwlock_rdlock(&port->life);
	if (port->attached) {
		queue = (uint16_t)pick(worker, port->rx_queues);
		CHECK(rte_eth_dev_rx_intr_enable(port->id, queue) == 0);
		epoll_wait(port->wait_fds[queue], events, 1, 1);
		CHECK(rte_eth_dev_rx_intr_disable(port->id, queue) == 0);
		atomic_fetch_add_explicit(&tally.interrupts, 1, memory_order_relaxed);
	}
	pthread_rwlock_unlock(&port->life);
}

/* --- what peers do --- */

static bool
is_connection(int fd)
{
	int type = 0, listens = 1;
	socklen_t size = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET &&
			getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 &&
			listens == 0;
}

/* As if its peer were killed: a connection of the driver breaks, in whatever step it is. */
static void
break_connection(struct worker *worker)
{
	int first = (int)pick(worker, FDS_MAX);

	for (int i = 0; i < FDS_MAX; i++) {
		if (!is_connection((first + i) % FDS_MAX))
			continue;
		shutdown((first + i) % FDS_MAX, SHUT_RDWR);
		atomic_fetch_add_explicit(&tally.hang_ups, 1, memory_order_relaxed);
		return;
	}
}

/* Somebody who connects, may say something, and goes. */
static void
intrude(struct worker *worker, const struct port *port)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t length = strlen(port->socket);
	uint16_t message[MESSAGE / sizeof(uint16_t)];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	CHECK(fd >= 0);
	memcpy(addr.sun_path + 1, port->socket, length);
	if (connect(fd, (const struct sockaddr *)&addr,
			    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)) ==
			0) {
		for (uint32_t i = pick(worker, 3); i != 0; i--) {
			for (size_t j = 0; j < MESSAGE / sizeof(uint16_t); j++)
				message[j] = (uint16_t)pick(worker, UINT16_MAX);
			/* An INIT of a version that is none, now and then. */
			message[0] = (uint16_t)(pick(worker, 2) == 0 ? 3 : message[0]);
			send(fd, message, sizeof(message), MSG_NOSIGNAL);
		}
		rte_delay_us_sleep(pick(worker, 300));
	}
	close(fd);
}

static void
be_a_bad_peer(struct worker *worker, struct port *port)
{
	if (pick(worker, 2) == 0)
		break_connection(worker);
	else
		intrude(worker, port);
}

static void *
work(void *arg)
{
	struct worker *worker = arg;

	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		worker->step(worker, &ports[pick(worker, PORTS)]);
		if (worker->pause != 0)
			rte_delay_us_sleep(pick(worker, worker->pause));
	}
	return NULL;
}

void
threads_run(uint32_t seed, unsigned int seconds)
{
	struct worker workers[] = {
		{ .step = poll_port, .number = 0 },
		{ .step = poll_port, .number = 1 },
		{ .step = poll_port, .number = 2, .pause = 50 },
		{ .step = change_state, .pause = 4000 },
		{ .step = come_and_go, .pause = 30000 },
		{ .step = read_all, .pause = 2000 },
		{ .step = read_all, .pause = 2000 },
		{ .step = sleep_for_packets, .pause = 500 },
		{ .step = be_a_bad_peer, .pause = 8000 },
	};

	for (unsigned int i = 0; i < RTE_DIM(workers); i++) {
		workers[i].seed = seed * 2654435761u + i + 1;
		CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
	}
	sleep(seconds);
	atomic_store_explicit(&over, true, memory_order_relaxed);
	for (unsigned int i = 0; i < RTE_DIM(workers); i++)
		pthread_join(workers[i].thread, NULL);
	for (unsigned int i = 0; i < RTE_DIM(workers); i++)
		rte_pktmbuf_free_bulk(workers[i].kept, KEPT);
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <rte_bus_vdev.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

#include "ports.h"

#define MBUFS 2047
#define CALLBACK_ODDS 24 /* one link event in so many leads to the port's restart or its end */

struct port ports[PORTS];
struct tally tally;
struct rte_mempool *pools[POLLERS];

/* Of DPDK's list of ports. It has a lock for that itself, which the sanitizer cannot see. */
static pthread_mutex_t hotplug = PTHREAD_MUTEX_INITIALIZER;

void
check(bool ok, const char *what, const char *file, int line)
{
	if (ok)
		return;
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

uint32_t
random_below(uint32_t *state, uint32_t limit)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state % limit;
}

/* The two ends are with different pollers. The client's last transmit queue is with a third one: it
 * may share a ring with its first. */
unsigned int
poller_of(const struct port *port, bool receive, uint16_t queue)
{
	if (!receive && queue == QUEUES - 1)
		return 2;
	return port->client ? 1 : 0;
}

void
ports_init(void)
{
	char name[32];
	struct port *port;

	for (unsigned int i = 0; i < POLLERS; i++) {
		snprintf(name, sizeof(name), "poller%u", i);
		pools[i] = rte_pktmbuf_pool_create(name, MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
				SOCKET_ID_ANY);
		CHECK(pools[i] != NULL);
	}
	for (unsigned int i = 0; i < PORTS; i++) {
		port = &ports[i];
		port->client = i % 2 != 0;
		snprintf(port->name, sizeof(port->name), "net_memif%u", i);
		/* Two servers on one socket, and one on its own. */
		snprintf(port->socket, sizeof(port->socket), "mif-tsan-%d-%u", getpid(), i / 4);
		pthread_rwlock_init(&port->life, NULL);
		pthread_mutex_init(&port->state, NULL);
		for (unsigned int j = 0; j < POLLERS; j++)
			pthread_mutex_init(&port->polled[j], NULL);
	}
}

void
ports_hold(struct port *port)
{
	for (unsigned int i = 0; i < POLLERS; i++)
		pthread_mutex_lock(&port->polled[i]);
}

void
ports_release(struct port *port)
{
	for (unsigned int i = POLLERS; i-- > 0;)
		pthread_mutex_unlock(&port->polled[i]);
}

static atomic_bool calm;

void
ports_calm_down(void)
{
	atomic_store_explicit(&calm, true, memory_order_relaxed);
}

/* With its life held, or the callback could have begun before that. */
static bool
may_act(const struct port *port)
{
	return port->attached && !atomic_load_explicit(&calm, memory_order_relaxed);
}

/* In the control thread. Any operation may be done here, the port's own end too. */
static int
on_link_event(uint16_t id, enum rte_eth_event_type type, void *arg, void *ret)
{
	static atomic_uint number;
	uint32_t chosen = atomic_fetch_add_explicit(&number, 1, memory_order_relaxed);
	struct port *port = arg;

	RTE_SET_USED(id);
	RTE_SET_USED(type);
	RTE_SET_USED(ret);
	atomic_fetch_add_explicit(&tally.link_events, 1, memory_order_relaxed);
	if (chosen % CALLBACK_ODDS == 7) {
		pthread_rwlock_rdlock(&port->life);
		pthread_mutex_lock(&port->state);
		if (may_act(port))
			ports_restart(port);
		pthread_mutex_unlock(&port->state);
		pthread_rwlock_unlock(&port->life);
	} else if (chosen % CALLBACK_ODDS == 15) {
		pthread_rwlock_wrlock(&port->life);
		if (may_act(port))
			ports_detach(port);
		pthread_rwlock_unlock(&port->life);
	} else {
		return 0;
	}
	atomic_fetch_add_explicit(&tally.from_callback, 1, memory_order_relaxed);
	return 0;
}

static void
configure(struct port *port, uint32_t *seed)
{
	struct rte_eth_conf conf = { .intr_conf = { .lsc = 1, .rxq = 1 } };
	unsigned int poller;

	port->rx_queues = (uint16_t)(1 + random_below(seed, QUEUES));
	port->tx_queues = (uint16_t)(1 + random_below(seed, QUEUES));
	CHECK(rte_eth_dev_configure(port->id, port->rx_queues, port->tx_queues, &conf) == 0);
	for (uint16_t i = 0; i < port->rx_queues; i++) {
		poller = poller_of(port, true, i);
		CHECK(rte_eth_rx_queue_setup(port->id, i, 0, SOCKET_ID_ANY, NULL, pools[poller]) ==
				0);
	}
	for (uint16_t i = 0; i < port->tx_queues; i++)
		CHECK(rte_eth_tx_queue_setup(port->id, i, 0, SOCKET_ID_ANY, NULL) == 0);
}

static void
start(struct port *port)
{
	CHECK(rte_eth_dev_start(port->id) == 0);
	port->started = true;
}

/* The files stay the same until the queues are set up anew. */
static void
find_files(struct port *port)
{
	for (uint16_t i = 0; i < port->rx_queues; i++) {
		port->wait_fds[i] = rte_eth_dev_rx_intr_ctl_q_get_fd(port->id, i);
		CHECK(port->wait_fds[i] >= 0);
	}
}

static void
stop(struct port *port)
{
	port->started = false;
	CHECK(rte_eth_dev_stop(port->id) == 0);
}

void
ports_attach(struct port *port, uint32_t *seed)
{
	char args[256];

	ports_hold(port);
	snprintf(args, sizeof(args), "role=%s,socket=@%s,id=%u,rsize=%u,bsize=%u%s",
			port->client ? "client" : "server", port->socket,
			(unsigned int)(port - ports) / 2, 5 + random_below(seed, 5),
			random_below(seed, 2) == 0 ? 2048 : 64 + random_below(seed, 512),
			!port->client && random_below(seed, 2) == 0 ? ",zero-copy=yes" : "");
	pthread_mutex_lock(&hotplug);
	CHECK(rte_eal_hotplug_add("vdev", port->name, args) == 0);
	CHECK(rte_eth_dev_get_port_by_name(port->name, &port->id) == 0);
	pthread_mutex_unlock(&hotplug);
	CHECK(rte_eth_dev_callback_register(port->id, RTE_ETH_EVENT_INTR_LSC, on_link_event,
			      port) == 0);
	configure(port, seed);
	start(port);
	find_files(port);
	port->attached = true;
	ports_release(port);
	atomic_fetch_add_explicit(&tally.attaches, 1, memory_order_relaxed);
}

void
ports_detach(struct port *port)
{
	ports_hold(port);
	port->attached = false;
	/* It stays when it is running: then it is of no consequence. */
	rte_eth_dev_callback_unregister(port->id, RTE_ETH_EVENT_INTR_LSC, on_link_event, port);
	stop(port);
	pthread_mutex_lock(&hotplug);
	CHECK(rte_eal_hotplug_remove("vdev", port->name) == 0);
	pthread_mutex_unlock(&hotplug);
	ports_release(port);
}

void
ports_reconfigure(struct port *port, uint32_t *seed)
{
	ports_hold(port);
	stop(port);
	configure(port, seed);
	start(port);
	find_files(port);
	ports_release(port);
}

void
ports_restart(struct port *port)
{
	ports_hold(port);
	stop(port);
	start(port);
	ports_release(port);
	atomic_fetch_add_explicit(&tally.restarts, 1, memory_order_relaxed);
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <ethdev_driver.h>
#include <rte_common.h>

#include "memif_compat.h"
#include "memif_ctrl.h"
#include "memif_ethdev.h"
#include "memif_port.h"
#include "memif_queue.h"
#include "memif_zc_server.h"

/* An extended counter: the sum of one member over queues, or a member of the port. */
struct xstat {
	const char *name;
	size_t offset;
};

#define QUEUE(member) offsetof(struct mif_counters, member)
#define PORT(member) offsetof(struct mif_port_counters, member)

static const struct xstat rx_xstats[] = {
	{ "rx_no_mbuf_bursts", QUEUE(no_mbuf) },
	{ "rx_bad_descriptors", QUEUE(bad_desc) },
	{ "rx_bad_indices", QUEUE(bad_index) },
	{ "rx_too_long_packets", QUEUE(too_long) },
	{ "rx_not_ip_packets", QUEUE(not_ip) },
	{ "rx_copied_buffers", QUEUE(copied) },
	{ "rx_interrupts_taken", QUEUE(interrupts) },
	{ "rx_zero_copy_packets", QUEUE(lent) },
	{ "rx_zero_copy_high_water_packets", QUEUE(over_mark) },
};

static const struct xstat tx_xstats[] = {
	{ "tx_ring_full_bursts", QUEUE(ring_full) },
	{ "tx_bad_descriptors", QUEUE(bad_desc) },
	{ "tx_bad_indices", QUEUE(bad_index) },
	{ "tx_too_long_packets", QUEUE(too_long) },
	{ "tx_empty_packets", QUEUE(empty) },
	{ "tx_bad_offload_packets", QUEUE(bad_offload) },
	{ "tx_not_ip_packets", QUEUE(not_ip) },
	{ "tx_copied_unexposed_segments", QUEUE(copied_unexposed) },
	{ "tx_copied_shared_segments", QUEUE(copied_shared) },
	{ "tx_copied_unfit_segments", QUEUE(copied_unfit) },
	{ "tx_copied_short_segments", QUEUE(copied_short) },
	{ "tx_interrupts_sent", QUEUE(events) },
};

static const struct xstat port_xstats[] = {
	{ "connections", PORT(connects) },
	{ "disconnections", PORT(disconnects) },
	{ "rx_lost_with_peer_packets", PORT(rx_lost) },
	{ "tx_lost_with_peer_packets", PORT(tx_lost) },
};

/* Not a counter: for how long the application has had a packet that it was lent. */
#define OLDEST "rx_zero_copy_oldest_ms"

#define XSTATS (RTE_DIM(rx_xstats) + RTE_DIM(tx_xstats) + RTE_DIM(port_xstats) + 1)

/* Whoever writes a counter goes on: each is read once, by itself. */
static uint64_t
since_reset(const void *counters, const void *cleared, size_t offset)
{
	const uint64_t *now = RTE_PTR_ADD(counters, offset);
	const uint64_t *then = RTE_PTR_ADD(cleared, offset);

	return __atomic_load_n(now, __ATOMIC_RELAXED) - __atomic_load_n(then, __ATOMIC_RELAXED);
}

static uint64_t
of_queue(const struct mif_queue *queue, size_t offset)
{
	return since_reset(&queue->counters, &queue->cleared, offset);
}

/* Of released queues; a reset sets them to 0. */
static uint64_t
retired(const struct mif_counters *counters, size_t offset)
{
	return __atomic_load_n((const uint64_t *)RTE_PTR_ADD(counters, offset), __ATOMIC_RELAXED);
}

static uint64_t
sum(void *const *queues, uint16_t count, const struct mif_counters *before, size_t offset)
{
	uint64_t total = retired(before, offset);

	for (uint16_t i = 0; i < count; i++)
		total += queues[i] == NULL ? 0 : of_queue(queues[i], offset);
	return total;
}

static uint64_t
sum_rx(const struct rte_eth_dev *dev, size_t offset)
{
	const struct mif_port *port = dev->data->dev_private;

	return sum(dev->data->rx_queues, dev->data->nb_rx_queues, &port->retired_rx, offset);
}

static uint64_t
sum_tx(const struct rte_eth_dev *dev, size_t offset)
{
	const struct mif_port *port = dev->data->dev_private;

	return sum(dev->data->tx_queues, dev->data->nb_tx_queues, &port->retired_tx, offset);
}

static void
get_queues(const struct rte_eth_dev_data *data, mif_queue_stats *stats)
{
	const struct mif_queue *queue;

	for (uint16_t i = 0; i < RTE_MIN(data->nb_rx_queues, RTE_ETHDEV_QUEUE_STAT_CNTRS); i++) {
		queue = data->rx_queues[i];
		if (queue == NULL)
			continue;
		stats->q_ipackets[i] = of_queue(queue, QUEUE(packets));
		stats->q_ibytes[i] = of_queue(queue, QUEUE(bytes));
		stats->q_errors[i] = of_queue(queue, QUEUE(bad_desc)) +
				of_queue(queue, QUEUE(too_long)) + of_queue(queue, QUEUE(not_ip));
	}
	for (uint16_t i = 0; i < RTE_MIN(data->nb_tx_queues, RTE_ETHDEV_QUEUE_STAT_CNTRS); i++) {
		queue = data->tx_queues[i];
		if (queue == NULL)
			continue;
		stats->q_opackets[i] = of_queue(queue, QUEUE(packets));
		stats->q_obytes[i] = of_queue(queue, QUEUE(bytes));
	}
}

void
mif_stats_of_port(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
	const struct mif_port *port = mif_port_of(dev);

	stats->ipackets = sum_rx(dev, QUEUE(packets));
	stats->ibytes = sum_rx(dev, QUEUE(bytes));
	stats->ierrors = sum_rx(dev, QUEUE(bad_desc)) + sum_rx(dev, QUEUE(too_long)) +
			sum_rx(dev, QUEUE(not_ip));
	stats->rx_nombuf = sum_rx(dev, QUEUE(no_mbuf));
	stats->imissed = since_reset(&port->counters, &port->cleared, PORT(rx_lost));
	stats->opackets = sum_tx(dev, QUEUE(packets));
	stats->obytes = sum_tx(dev, QUEUE(bytes));
	stats->oerrors = sum_tx(dev, QUEUE(too_long)) + sum_tx(dev, QUEUE(empty)) +
			sum_tx(dev, QUEUE(bad_offload)) + sum_tx(dev, QUEUE(not_ip));
}

#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
int
mif_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats, mif_queue_stats *queues)
{
	if (queues != NULL)
		get_queues(dev->data, queues);
	mif_stats_of_port(dev, stats);
	return 0;
}
#else
int
mif_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
	get_queues(dev->data, stats);
	mif_stats_of_port(dev, stats);
	return 0;
}
#endif

static uint64_t
oldest_lent(const struct rte_eth_dev *dev)
{
	const struct mif_ring_end *end;
	struct mif_queue *queue;
	uint64_t oldest = 0;
	uint64_t age;

	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		queue = dev->data->rx_queues[i];
		if (queue == NULL)
			continue;
		for (end = mif_queue_enter_side(queue); end != NULL; end = end->next) {
			age = mif_lend_oldest_ms(end);
			oldest = RTE_MAX(oldest, age);
		}
		mif_queue_leave_side(queue);
	}
	return oldest;
}

int
mif_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *xstats, unsigned int size)
{
	const struct mif_port *port = mif_port_of(dev);
	unsigned int n = 0;

	if (xstats == NULL || size < XSTATS)
		return XSTATS;
	for (unsigned int i = 0; i < RTE_DIM(rx_xstats); i++)
		xstats[n++].value = sum_rx(dev, rx_xstats[i].offset);
	for (unsigned int i = 0; i < RTE_DIM(tx_xstats); i++)
		xstats[n++].value = sum_tx(dev, tx_xstats[i].offset);
	for (unsigned int i = 0; i < RTE_DIM(port_xstats); i++)
		xstats[n++].value = since_reset(&port->counters, &port->cleared,
				port_xstats[i].offset);
	xstats[n++].value = oldest_lent(dev);
	for (unsigned int i = 0; i < n; i++)
		xstats[i].id = i;
	return (int)n;
}

static unsigned int
name_some(struct rte_eth_xstat_name *names, const struct xstat *xstats, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		snprintf(names[i].name, sizeof(names[i].name), "%s", xstats[i].name);
	return count;
}

int
mif_xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names, unsigned int size)
{
	unsigned int n = 0;

	RTE_SET_USED(dev);
	if (names == NULL || size < XSTATS)
		return XSTATS;
	n += name_some(&names[n], rx_xstats, RTE_DIM(rx_xstats));
	n += name_some(&names[n], tx_xstats, RTE_DIM(tx_xstats));
	n += name_some(&names[n], port_xstats, RTE_DIM(port_xstats));
	snprintf(names[n++].name, sizeof(names->name), "%s", OLDEST);
	return (int)n;
}

/* Others go on counting, so a reset only remembers where a counter stood. */
static void
remember(void *cleared, const void *counters, size_t size)
{
	const uint64_t *from = counters;
	uint64_t *to = cleared;

	for (size_t i = 0; i < size / sizeof(*to); i++)
		__atomic_store_n(&to[i], __atomic_load_n(&from[i], __ATOMIC_RELAXED),
				__ATOMIC_RELAXED);
}

static void
reset_queues(void *const *queues, uint16_t count)
{
	struct mif_queue *queue;

	for (uint16_t i = 0; i < count; i++) {
		queue = queues[i];
		if (queue != NULL)
			remember(&queue->cleared, &queue->counters, sizeof(queue->counters));
	}
}

static void
forget(struct mif_counters *counters)
{
	uint64_t *to = (uint64_t *)counters;

	for (size_t i = 0; i < sizeof(*counters) / sizeof(*to); i++)
		__atomic_store_n(&to[i], 0, __ATOMIC_RELAXED);
}

int
mif_stats_reset(struct rte_eth_dev *dev)
{
	struct mif_port *port = mif_port_of(dev);

	mif_ctrl_lock();
	reset_queues(dev->data->rx_queues, dev->data->nb_rx_queues);
	reset_queues(dev->data->tx_queues, dev->data->nb_tx_queues);
	remember(&port->cleared, &port->counters, sizeof(port->counters));
	forget(&port->retired_rx);
	forget(&port->retired_tx);
	mif_ctrl_unlock();
	return 0;
}

void
mif_stats_retire(struct mif_counters *retired_counters, const struct mif_queue *queue)
{
	uint64_t *to = (uint64_t *)retired_counters;

	for (size_t i = 0; i < sizeof(*retired_counters) / sizeof(*to); i++)
		mif_count(&to[i], of_queue(queue, i * sizeof(*to)));
}

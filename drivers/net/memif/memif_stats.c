/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>
#include <ethdev_driver.h>
#include <rte_common.h>

#include "memif_ethdev.h"
#include "memif_queue.h"

/* The lcore of the queue goes on counting: each counter is read once, by itself. */
static uint64_t
since_reset(const uint64_t *counter, const uint64_t *cleared)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED) - *cleared;
}

#define COUNT(queue, name) since_reset(&(queue)->counters.name, &(queue)->cleared.name)

static void
add_rx(struct rte_eth_stats *stats, const struct mif_queue *queue)
{
	uint64_t packets = COUNT(queue, packets);
	uint64_t bytes = COUNT(queue, bytes);

	stats->ipackets += packets;
	stats->ibytes += bytes;
	stats->ierrors += COUNT(queue, bad_desc) + COUNT(queue, too_long);
	stats->rx_nombuf += COUNT(queue, no_mbuf);
	if (queue->id < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
		stats->q_ipackets[queue->id] = packets;
		stats->q_ibytes[queue->id] = bytes;
		stats->q_errors[queue->id] = COUNT(queue, bad_desc) + COUNT(queue, too_long);
	}
}

static void
add_tx(struct rte_eth_stats *stats, const struct mif_queue *queue)
{
	uint64_t packets = COUNT(queue, packets);
	uint64_t bytes = COUNT(queue, bytes);

	stats->opackets += packets;
	stats->obytes += bytes;
	stats->oerrors += COUNT(queue, too_long) + COUNT(queue, empty);
	if (queue->id < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
		stats->q_opackets[queue->id] = packets;
		stats->q_obytes[queue->id] = bytes;
	}
}

int
mif_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		if (dev->data->rx_queues[i] != NULL)
			add_rx(stats, dev->data->rx_queues[i]);
	}
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++) {
		if (dev->data->tx_queues[i] != NULL)
			add_tx(stats, dev->data->tx_queues[i]);
	}
	return 0;
}

/* Counters are written by bursts alone, so a reset remembers where they stood. */
static void
reset(struct mif_queue *queue)
{
	uint64_t *to = (uint64_t *)&queue->cleared;
	const uint64_t *from = (const uint64_t *)&queue->counters;

	for (size_t i = 0; i < sizeof(queue->counters) / sizeof(*from); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

int
mif_stats_reset(struct rte_eth_dev *dev)
{
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		if (dev->data->rx_queues[i] != NULL)
			reset(dev->data->rx_queues[i]);
	}
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++) {
		if (dev->data->tx_queues[i] != NULL)
			reset(dev->data->tx_queues[i]);
	}
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* What was under way when a connection ended. */

#include <ethdev_driver.h>

#include "memif_link.h"
#include "memif_ring.h"

/* Packets in count slots from index on. What a peer may have scribbled there is just counted. */
static uint32_t
packets_in(const struct mif_ring_end *end, uint16_t index, uint32_t count)
{
	uint32_t packets = 0;

	for (uint32_t i = 0; i < count && count <= end->size; i++)
		packets += (mif_desc_read(&end->desc[(index + i) & end->mask]).flags &
					   MIF_DESC_NEXT) == 0;
	return packets;
}

/* Slots that a server has filled and whose buffers the client has not posted again: at most, as a
 * client need not post all it has. */
static uint32_t
server_filled(const struct mif_ring_end *end)
{
	uint16_t head = mif_ring_peek(end->peer_index);
	uint64_t posted = end->posted;
	uint64_t sent, back;

	if (mif_ring_span(end->cursor, head) <= end->size)
		posted += mif_ring_span(end->limit, head);
	sent = end->posted - mif_ring_span(end->cursor, end->limit);
	back = posted > end->size ? posted - end->size : 0;
	return sent > back ? (uint32_t)(sent - back) : 0;
}

void
mif_link_count_lost(const struct mif_link *link, struct mif_port_counters *counters)
{
	enum mif_dir tx = link->role == MIF_CLIENT ? MIF_C2S : MIF_S2C;
	const struct mif_ring_end *end;
	uint32_t filled;
	uint16_t peer;

	for (int dir = 0; dir < MIF_DIRS; dir++) {
		for (uint16_t i = 0; i < link->end_count[dir]; i++) {
			end = &link->ends[dir][i];
			peer = mif_ring_peek(end->peer_index);
			if (dir != (int)tx) {
				mif_count(&counters->rx_lost,
						packets_in(end, end->cursor,
								mif_ring_span(end->cursor, peer)));
				continue;
			}
			filled = link->role == MIF_CLIENT ? mif_ring_span(peer, end->cursor) :
							    server_filled(end);
			mif_count(&counters->tx_lost,
					packets_in(end, (uint16_t)(end->cursor - filled), filled));
		}
	}
}

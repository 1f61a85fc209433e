/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include "memif_ring.h"
#include "pump.h"

#define BURST 64
#define PACKET 64

static struct mif_desc
own_buffer(const struct pump *pump, const struct pump_end *end, uint16_t index)
{
	const struct mif_layout *layout = &pump->peer->layout;

	return (struct mif_desc){
		.region = end->run->region,
		.length = layout->buffer_size,
		.offset = end->run->offset + (index & (end->size - 1)) * end->run->stride,
	};
}

static void
init_end(struct pump *pump, enum mif_dir dir, uint16_t i)
{
	const struct mif_ring_place *place = &pump->peer->conn.geometry.ring[dir][i];
	enum mif_role role = pump->peer->role;
	struct pump_end *end = &pump->ends[dir][i];
	struct mif_ring *ring = (struct mif_ring *)(void *)(pump->spans[place->region].base +
			place->offset);

	end->desc = ring->desc;
	end->own_index = mif_ring_index(ring, role);
	end->peer_index = mif_ring_index(ring, role == MIF_CLIENT ? MIF_SERVER : MIF_CLIENT);
	end->size = 1u << place->log2_ring_size;
	end->cursor = 0;
	end->run = &pump->peer->layout.run[dir][i];
	if ((role == MIF_CLIENT) == (dir == MIF_S2C))
		mif_ring_mask(ring);
	if (role == MIF_CLIENT && dir == MIF_S2C) {
		for (uint32_t slot = 0; slot < end->size; slot++)
			end->desc[slot] = own_buffer(pump, end, (uint16_t)slot);
		mif_ring_publish(end->own_index, (uint16_t)end->size);
	}
}

void
pump_init(struct pump *pump, struct peer *peer)
{
	pump->peer = peer;
	for (int i = 0; i < MIF_REGIONS_MAX; i++) {
		pump->spans[i].base = peer->regions[i].addr;
		pump->spans[i].size = peer->regions[i].size;
	}
	for (int dir = 0; dir < MIF_DIRS; dir++) {
		for (uint16_t i = 0; i < peer->conn.geometry.rings[dir]; i++)
			init_end(pump, dir, i);
	}
}

/* Slots that this end may use now; none when the other end talks nonsense. */
static uint32_t
ready(const struct pump *pump, const struct pump_end *end, bool sending)
{
	uint16_t limit = mif_ring_peek(end->peer_index);
	uint32_t count;

	if (sending && pump->peer->role == MIF_CLIENT)
		limit = (uint16_t)(limit + end->size);
	count = mif_ring_span(end->cursor, limit);
	if (count > end->size)
		return 0;
	return count < BURST ? count : BURST;
}

static unsigned int
send_burst(struct pump *pump, struct pump_end *end)
{
	bool client = pump->peer->role == MIF_CLIENT;
	uint32_t count = ready(pump, end, true);
	struct mif_desc desc, *slot;

	for (uint32_t i = 0; i < count; i++, end->cursor++) {
		slot = &end->desc[end->cursor & (end->size - 1)];
		desc = client ? own_buffer(pump, end, end->cursor) : mif_desc_read(slot);
		if (!mif_desc_ok(pump->spans, pump->peer->conn.geometry.regions, desc) ||
				desc.length < PACKET)
			desc.length = 0;
		else
			memset(mif_desc_data(pump->spans, desc), end->cursor & 0xff, PACKET);
		desc.length = desc.length < PACKET ? 0 : PACKET;
		desc.flags = 0;
		mif_desc_write(slot, desc);
	}
	if (count != 0)
		mif_ring_publish(end->own_index, end->cursor);
	atomic_fetch_add_explicit(&pump->peer->progress->sent, count, memory_order_relaxed);
	atomic_fetch_add_explicit(&pump->peer->progress->life_sent, count, memory_order_relaxed);
	return count;
}

static unsigned int
receive_burst(struct pump *pump, struct pump_end *end)
{
	bool client = pump->peer->role == MIF_CLIENT;
	uint32_t count = ready(pump, end, false);

	for (uint32_t i = 0; i < count; i++, end->cursor++) {
		if (client)
			end->desc[end->cursor & (end->size - 1)] = own_buffer(pump, end,
					end->cursor);
	}
	if (count != 0)
		mif_ring_publish(end->own_index,
				(uint16_t)(end->cursor + (client ? end->size : 0)));
	atomic_fetch_add_explicit(&pump->peer->progress->received, count, memory_order_relaxed);
	atomic_fetch_add_explicit(&pump->peer->progress->life_received, count,
			memory_order_relaxed);
	return count;
}

unsigned int
pump_turn(struct pump *pump)
{
	const struct mif_geometry *geometry = &pump->peer->conn.geometry;
	enum mif_dir tx = pump->peer->role == MIF_CLIENT ? MIF_C2S : MIF_S2C;
	enum mif_dir rx = pump->peer->role == MIF_CLIENT ? MIF_S2C : MIF_C2S;
	unsigned int moved = 0;

	for (uint16_t i = 0; i < geometry->rings[tx]; i++)
		moved += send_burst(pump, &pump->ends[tx][i]);
	for (uint16_t i = 0; i < geometry->rings[rx]; i++)
		moved += receive_burst(pump, &pump->ends[rx][i]);
	return moved;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "ring_check.h"

#define SLOTS_MAX (1u << MIF_LOG2_RING_MAX)

/* Bytes of a packet that lie together. */
struct piece {
	const uint8_t *data;
	uint32_t length;
};

/* A packet that has to be received. */
struct wanted {
	uint32_t first_piece, pieces;
	uint64_t length;
};

/* A packet that is to be sent. */
struct outgoing {
	uint64_t seed, length;
};

static struct piece pieces[SLOTS_MAX];
static struct wanted wanted[WORLD_BURST_MAX];
static struct outgoing outgoing[WORLD_BURST_MAX];
static uint32_t wanted_count, outgoing_count, asked_for;
static uint64_t dropped;
static struct mif_counters counters;
static uint16_t cursor, published;
static uint8_t ring_copy[sizeof(struct mif_ring) + SLOTS_MAX * sizeof(struct mif_desc)];

static const struct mif_desc *
slot(uint16_t index)
{
	return &world.end->ring->desc[index % world.end->size];
}

static void
remember(void)
{
	counters = world.queue->counters;
	cursor = world.end->cursor;
	published = *world.end->own_index;
	memcpy(ring_copy, world.end->ring, mif_ring_bytes(world.cfg.log2));
}

/*
 * Where a descriptor's bytes are; NULL when they are outside. A client that receives knows its own
 * buffers, and takes only the length.
 */
static const uint8_t *
bytes_of(uint16_t index, const struct mif_desc *desc)
{
	const struct mif_ring_end *end = world.end;
	struct mif_span region = world_region(desc->region);

	if (desc->length == 0)
		return NULL;
	if (world.cfg.role == MIF_CLIENT && !world.cfg.transmit)
		return desc->length > end->buffer_size ?
				NULL :
				end->buffers + (size_t)(index % end->size) * end->stride;
	if (desc->offset > region.size || desc->length > region.size - desc->offset)
		return NULL;
	return region.base + desc->offset;
}

/* One packet from `index` on; false when it has to be dropped. */
static bool
look_at(uint16_t index, uint32_t slots, struct wanted *packet)
{
	uint64_t limit = world.cfg.scatter ? MIF_PACKET_MAX : world.queue->room;

	packet->length = 0;
	packet->pieces = slots;
	for (uint32_t i = 0; i < slots; i++) {
		const struct mif_desc *desc = slot((uint16_t)(index + i));
		const uint8_t *data = bytes_of((uint16_t)(index + i), desc);

		if (data == NULL)
			return false;
		pieces[packet->first_piece + i] = (struct piece){ data, desc->length };
		packet->length += desc->length;
	}
	return packet->length <= limit;
}

void
check_before_rx(uint16_t count)
{
	uint16_t ready = (uint16_t)(*world_peer_index() - world.end->cursor);
	uint16_t index = world.end->cursor;
	uint32_t used = 0, slots;

	remember();
	asked_for = count;
	wanted_count = 0;
	dropped = 0;
	if (ready > world.end->size)
		return;
	while (wanted_count < count) {
		for (slots = 0; slots < ready && (slot((uint16_t)(index + slots))->flags & 1) != 0;)
			slots++;
		if (slots == ready)
			return;
		slots++;
		wanted[wanted_count].first_piece = used;
		if (look_at(index, slots, &wanted[wanted_count]))
			wanted_count++;
		else
			dropped++;
		used += slots;
		index = (uint16_t)(index + slots);
		ready = (uint16_t)(ready - slots);
	}
}

/* A piece in the ring itself may have changed: a client's descriptors are written anew. */
static bool
in_ring(const struct piece *piece)
{
	const uint8_t *ring = (const uint8_t *)world.end->ring;

	return piece->data < ring + mif_ring_bytes(world.cfg.log2) &&
			ring < piece->data + piece->length;
}

static void
compare(const struct rte_mbuf *mbuf, const struct wanted *packet)
{
	uint32_t in_mbuf = 0, in_piece, part;

	FUZZ_CHECK(mbuf->pkt_len == packet->length, "%u bytes", mbuf->pkt_len);
	for (uint32_t i = 0; i < packet->pieces; i++) {
		const struct piece *piece = &pieces[packet->first_piece + i];

		for (in_piece = 0; in_piece < piece->length; in_piece += part) {
			if (in_mbuf == mbuf->data_len) {
				mbuf = mbuf->next;
				in_mbuf = 0;
			}
			part = RTE_MIN(piece->length - in_piece, mbuf->data_len - in_mbuf);
			FUZZ_CHECK(in_ring(piece) ||
							memcmp(rte_pktmbuf_mtod_offset(mbuf,
									       const uint8_t *,
									       in_mbuf),
									piece->data + in_piece,
									part) == 0,
					"other bytes in piece %u", i);
			in_mbuf += part;
		}
	}
}

/*
 * The ring as it must look now: only our index has changed, and of the slots that were taken a
 * client's are posted anew, and a server's have lost NEXT, which stock clients never clear.
 */
static void
check_ring(void)
{
	struct mif_ring *copy = (struct mif_ring *)(void *)ring_copy;
	uint16_t ahead = world.cfg.role == MIF_CLIENT ? (uint16_t)world.end->size : 0;
	uint16_t taken = (uint16_t)(world.end->cursor - cursor);

	*mif_ring_index(copy, world.cfg.role) = taken == 0 ? published :
							     (uint16_t)(world.end->cursor + ahead);
	for (uint32_t i = 0; i < taken; i++) {
		uint32_t at = (uint16_t)(cursor + i) % world.end->size;
		struct mif_desc *desc = &copy->desc[at];

		if (world.cfg.role == MIF_CLIENT)
			*desc = (struct mif_desc){
				.length = world.end->buffer_size,
				.offset = world.end->buffers_offset + at * world.end->stride,
			};
		else if ((desc->flags & MIF_DESC_NEXT) != 0)
			desc->flags = 0;
	}
	FUZZ_CHECK(memcmp(copy, world.end->ring, mif_ring_bytes(world.cfg.log2)) == 0,
			"the ring looks otherwise after %u slots", taken);
}

void
check_after_rx(struct rte_mbuf **mbufs, uint16_t done)
{
	const struct mif_counters *now = &world.queue->counters;
	uint64_t lost = now->bad_desc - counters.bad_desc + now->too_long - counters.too_long;

	FUZZ_CHECK(done <= wanted_count, "%u packets, not %u", done, wanted_count);
	FUZZ_CHECK(lost <= dropped, "%u dropped, not %u", (unsigned int)lost,
			(unsigned int)dropped);
	/* Dropping costs as much as receiving does, so there is a limit to both, and a burst may end. */
	FUZZ_CHECK(done + lost <= asked_for, "%u packets and %u dropped in a burst of %u", done,
			(unsigned int)lost, asked_for);
	if (lost == 0 && now->no_mbuf == counters.no_mbuf)
		FUZZ_CHECK(done == wanted_count && dropped == 0,
				"%u packets, not %u, and none of %u dropped", done, wanted_count,
				(unsigned int)dropped);
	for (uint16_t i = 0; i < done; i++)
		compare(mbufs[i], &wanted[i]);
	check_ring();
}

void
check_before_tx(struct rte_mbuf **mbufs, uint16_t count, uint64_t first)
{
	remember();
	outgoing_count = count;
	for (uint16_t i = 0; i < count; i++)
		outgoing[i] = (struct outgoing){ first + i, world_length(mbufs[i]) };
}

/* Slots that can be filled, by the peer's index. */
static uint16_t
slots_free(uint16_t from)
{
	uint16_t peer = *world_peer_index();
	uint16_t limit = world.cfg.role == MIF_CLIENT ? (uint16_t)(peer + world.end->size) : peer;
	uint16_t count = (uint16_t)(limit - from);

	return count > world.end->size ? 0 : count;
}

static bool
must_be_dropped(const struct outgoing *packet)
{
	return packet->length == 0 || packet->length > MIF_PACKET_MAX ||
			(world.cfg.role == MIF_CLIENT && packet->length > world.end->capacity);
}

/* The bytes of the packet that begins in this slot; returns the slots that it takes. */
static uint16_t
read_back(uint16_t index, const struct outgoing *packet)
{
	uint64_t place = 0;
	uint16_t slots = 0;
	bool more = true;

	while (more) {
		const struct mif_desc *desc = slot((uint16_t)(index + slots));
		const uint8_t *data = bytes_of((uint16_t)(index + slots), desc);

		FUZZ_CHECK(data != NULL, "slot %u of a packet is bad", slots);
		for (uint32_t i = 0; i < desc->length; i++, place++)
			FUZZ_CHECK(data[i] == world_byte(packet->seed, place),
					"byte %u of packet %u", (unsigned int)place,
					(unsigned int)packet->seed);
		more = (desc->flags & MIF_DESC_NEXT) != 0;
		slots++;
		FUZZ_CHECK(slots <= world.end->size, "a chain without end");
	}
	FUZZ_CHECK(place == packet->length, "%u bytes of %u", (unsigned int)place,
			(unsigned int)packet->length);
	return slots;
}

/* May it wait? A client's slots are alike; a server counts what good buffers hold. */
static void
check_waiting(const struct outgoing *packet)
{
	uint16_t free = slots_free(world.end->cursor);
	uint64_t space = 0;

	FUZZ_CHECK(!must_be_dropped(packet), "a packet of %u bytes waits",
			(unsigned int)packet->length);
	for (uint16_t i = 0; i < free; i++) {
		uint16_t index = (uint16_t)(world.end->cursor + i);

		if (world.cfg.role == MIF_CLIENT)
			space += world.end->buffer_size;
		else if (bytes_of(index, slot(index)) != NULL)
			space += slot(index)->length;
	}
	FUZZ_CHECK(space < packet->length, "%u bytes wait, though %u are free",
			(unsigned int)packet->length, (unsigned int)space);
}

void
check_after_tx(uint16_t done, bool honest)
{
	uint64_t too_long = world.queue->counters.too_long - counters.too_long;
	uint16_t index = cursor;

	FUZZ_CHECK(*world.end->own_index ==
					(world.end->cursor == cursor ? published :
								       world.end->cursor),
			"index %u for %u", *world.end->own_index, world.end->cursor);
	for (uint16_t i = 0; honest && i < done; i++) {
		if (must_be_dropped(&outgoing[i]))
			continue;
		/* A server drops one that all posted buffers together do not hold. */
		if (world.cfg.role == MIF_SERVER && too_long != 0)
			return;
		index = (uint16_t)(index + read_back(index, &outgoing[i]));
	}
	FUZZ_CHECK(!honest || index == world.end->cursor, "ends at slot %u, published %u", index,
			world.end->cursor);
	/* A burst looks at every slot once, and skips bad ones once. */
	if (done < outgoing_count && honest && too_long == 0 &&
			world.queue->counters.bad_desc == counters.bad_desc)
		check_waiting(&outgoing[done]);
}

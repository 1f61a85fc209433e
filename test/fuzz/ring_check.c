/* SPDX-License-Identifier: BSD-3-Clause */

#include "memif_zc_ring.h"
#include "memif_zc_server.h"
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
	uint64_t length; /* with the header that ip mode puts in front */
	bool ipv6;
};

/* A packet that is to be sent. */
struct outgoing {
	uint64_t seed, length;
	uint32_t l2;	/* bytes of it that are not sent */
	uint32_t slots; /* that it takes in a ring of a client with zero-copy, if they suffice */
};

static struct piece pieces[SLOTS_MAX];
static struct wanted wanted[WORLD_BURST_MAX];
static struct outgoing outgoing[WORLD_BURST_MAX];
static uint32_t wanted_count, outgoing_count, asked_for;
static uint64_t dropped;
static struct mif_counters counters;
static uint16_t cursor, published;
static uint16_t head, given; /* of the kinds of zero-copy */
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
	head = world_is_zc_client() ? world.end->zc->head : 0;
	given = world_lends() ? atomic_load(&world.end->loans->given) : 0;
	memcpy(ring_copy, world.end->ring, mif_ring_bytes(world.cfg.log2));
}

/*
 * Where a descriptor's bytes are; NULL when they are outside. A client that receives knows its own
 * buffers, and takes only the length.
 */
static const uint8_t *
bytes_of(uint16_t index, const struct mif_desc *desc)
{
	struct mif_span region = world_region(desc->region);

	if (desc->length == 0)
		return NULL;
	if (world.cfg.role == MIF_CLIENT && !world.cfg.transmit)
		return desc->length > world_slot_room(index) ? NULL : world_slot_data(index);
	if (desc->offset > region.size || desc->length > region.size - desc->offset)
		return NULL;
	return region.base + desc->offset;
}

/* One packet from `index` on; false when it has to be dropped. */
static bool
look_at(uint16_t index, uint32_t slots, struct wanted *packet)
{
	uint64_t limit = world.cfg.scatter ? MIF_PACKET_MAX : world.queue->room;

	packet->length = mif_l2_added(world.cfg.mode);
	packet->pieces = slots;
	packet->ipv6 = false;
	for (uint32_t i = 0; i < slots; i++) {
		const struct mif_desc *desc = slot((uint16_t)(index + i));
		const uint8_t *data = bytes_of((uint16_t)(index + i), desc);

		if (data == NULL)
			return false;
		pieces[packet->first_piece + i] = (struct piece){ data, desc->length };
		packet->length += desc->length;
		if (i == 0 && world.cfg.mode == MIF_MODE_IP && (*data >> 4) != 4 &&
				(*data >> 4) != 6)
			return false;
		packet->ipv6 |= i == 0 && (*data >> 4) == 6;
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
	if (ready > world_slots())
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

static uint32_t
check_header(const struct rte_mbuf *mbuf, const struct wanted *packet)
{
	static const uint8_t ipv4[] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0x08, 0x00 };
	static const uint8_t ipv6[] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0x86, 0xdd };

	if (world.cfg.mode == MIF_MODE_ETHERNET)
		return 0;
	FUZZ_CHECK(mbuf->data_len >= sizeof(ipv4) &&
					memcmp(rte_pktmbuf_mtod(mbuf, const uint8_t *),
							packet->ipv6 ? ipv6 : ipv4,
							sizeof(ipv4)) == 0,
			"another header in front");
	return sizeof(ipv4);
}

static void
compare(const struct rte_mbuf *mbuf, const struct wanted *packet)
{
	uint32_t in_mbuf = check_header(mbuf, packet), in_piece, part;

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

/* What our index must be after so many slots were taken. */
static uint16_t
index_after(uint16_t taken)
{
	uint16_t ahead = world.cfg.role == MIF_CLIENT ? (uint16_t)world.end->size : 0;

	if (world_is_zc_client())
		return world.end->zc->head == head ? *world.end->own_index : world.end->zc->head;
	if (world_lends())
		return atomic_load(&world.end->loans->given) == given ?
				published :
				atomic_load(&world.end->loans->given);
	return taken == 0 ? published : (uint16_t)(world.end->cursor + ahead);
}

/* A client with zero-copy has posted mbufs, or the ring's buffers in their place. */
static void
put_posted(struct mif_ring *copy)
{
	const struct mif_zc_ring *zc = world.end->zc;

	FUZZ_CHECK((uint16_t)(zc->head - world.end->cursor) <= world.end->size, "posted twice");
	for (uint16_t i = head; i != zc->head; i++) {
		uint32_t at = i % world.end->size;
		bool copied = world.cfg.exposed ? zc->copied[at] : true;
		struct mif_span region = world_region(1);

		copy->desc[at] = (struct mif_desc){
			.region = copied ? 0 : 1,
			.length = copied ? RTE_MIN(world.end->buffer_size, zc->room) : zc->room,
			.offset = copied ? world.end->buffers_offset + at * world.end->stride :
					   (uint32_t)(world_slot_data(i) - region.base),
		};
		FUZZ_CHECK(copied ||
						(copy->desc[at].offset < region.size &&
								zc->room <= region.size - copy->desc[at].offset),
				"posted outside the region");
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
	uint16_t taken = (uint16_t)(world.end->cursor - cursor);

	*mif_ring_index(copy, world.cfg.role) = index_after(taken);
	if (world_is_zc_client())
		put_posted(copy);
	for (uint32_t i = 0; i < taken; i++) {
		uint32_t at = (uint16_t)(cursor + i) % world.end->size;
		struct mif_desc *desc = &copy->desc[at];

		if (world_is_zc_client())
			continue;
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
	uint64_t lost = now->bad_desc - counters.bad_desc + now->too_long - counters.too_long +
			now->not_ip - counters.not_ip;

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

/* Each segment has a slot of its own, or several of the ring's buffers. */
static uint32_t
slots_of(const struct rte_mbuf *mbuf, uint32_t l2)
{
	uint32_t slots = 0, part;

	for (; world_is_zc_client() && mbuf != NULL; mbuf = mbuf->next) {
		part = RTE_MIN(l2, (uint32_t)mbuf->data_len);
		l2 -= part;
		slots += (mbuf->data_len - part + world.end->buffer_size - 1) /
				world.end->buffer_size;
	}
	return slots;
}

void
check_before_tx(struct rte_mbuf **mbufs, uint16_t count, uint64_t first)
{
	remember();
	outgoing_count = count;
	for (uint16_t i = 0; i < count; i++) {
		uint64_t length = world_length(mbufs[i]);
		uint32_t l2 = world_l2(first + i, length);

		outgoing[i] = (struct outgoing){ first + i, length, l2, slots_of(mbufs[i], l2) };
	}
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
			(world.cfg.mode == MIF_MODE_IP && packet->l2 == 0) ||
			(world.cfg.role == MIF_CLIENT &&
					packet->length - packet->l2 > world.end->capacity);
}

/* The bytes of the packet that begins in this slot; returns the slots that it takes. */
static uint16_t
read_back(uint16_t index, const struct outgoing *packet)
{
	uint64_t place = packet->l2;
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
	if (world_is_zc_client() && packet->slots <= world.end->size)
		FUZZ_CHECK(packet->slots > free, "%u slots wait, though %u are free", packet->slots,
				free);
	else
		FUZZ_CHECK(space < packet->length - packet->l2, "%u bytes wait, though %u are free",
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

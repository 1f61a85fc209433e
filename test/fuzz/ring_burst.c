/* SPDX-License-Identifier: BSD-3-Clause */

/* Packets of the world, and the burst with what holds whatever the peer does. */

#include <ethdev_driver.h>
#include <rte_mbuf.h>
#include <sanitizer/asan_interface.h>

#include "memif_zc_ring.h"
#include "memif_zc_server.h"
#include "ring_world.h"

#define HELD_MAX 512

/* Packets that the application keeps. */
static struct rte_mbuf *held[HELD_MAX];
static uint32_t held_count;

/* What stands at a place of a frame in ip mode, -1 for anything. */
static int
frame_byte(uint64_t seed, uint64_t place)
{
	static const uint8_t ipv4[] = { 0x08, 0x00, 0x45 }, ipv6[] = { 0x86, 0xdd, 0x60 };
	static const uint8_t tagged[] = { 0x81, 0x00, 0, 7, 0x08, 0x00, 0x46 },
			     other[] = { 0x12, 0x34 };

	if (world.cfg.mode == MIF_MODE_ETHERNET || place < 12)
		return -1;
	place -= 12;
	switch (seed % 64) {
	case 63:
		return place < sizeof(other) ? other[place] : -1;
	case 62:
		return place < sizeof(tagged) ? tagged[place] : -1;
	default:
		return place >= sizeof(ipv4) ? -1 : seed % 2 != 0 ? ipv6[place] : ipv4[place];
	}
}

uint8_t
world_byte(uint64_t seed, uint64_t place)
{
	int byte = place < 20 ? frame_byte(seed, place) : -1;

	return byte >= 0 ? (uint8_t)byte : (uint8_t)((seed + place) * 167 + (place >> 8));
}

uint32_t
world_l2(uint64_t seed, uint64_t length)
{
	uint32_t l2 = seed % 64 == 62 ? 18 : 14;

	if (world.cfg.mode == MIF_MODE_ETHERNET || seed % 64 == 63 || length <= l2)
		return 0;
	return l2;
}

/* What a segment does not use is poisoned: a peer must not get to see other bytes. */
static struct rte_mbuf *
segment(uint16_t length, uint64_t seed, uint64_t *place)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(world.pool);
	uint8_t *data;

	if (mbuf == NULL)
		return NULL;
	ASAN_UNPOISON_MEMORY_REGION(mbuf->buf_addr, mbuf->buf_len);
	mbuf->data_len = length;
	mbuf->data_off = (uint16_t)(mbuf->buf_len - length -
			seed % 64 % (mbuf->buf_len - length + 1));
	data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	for (uint16_t i = 0; i < length; i++)
		data[i] = world_byte(seed, (*place)++);
	ASAN_POISON_MEMORY_REGION(mbuf->buf_addr, mbuf->data_off);
	ASAN_POISON_MEMORY_REGION(data + length, mbuf->buf_len - mbuf->data_off - length);
	return mbuf;
}

struct rte_mbuf *
world_packet(struct fuzz_input *in, unsigned int segments)
{
	uint64_t seed = world.seed++;
	uint64_t place = 0;
	struct rte_mbuf *head = NULL;
	struct rte_mbuf **next = &head;

	for (unsigned int i = 0; i < segments; i++) {
		*next = segment(fuzz_u16(in) % 2049, seed, &place);
		if (*next == NULL)
			break;
		next = &(*next)->next;
		head->nb_segs = (uint16_t)(i + 1);
	}
	if (head != NULL)
		head->pkt_len = (uint32_t)place;
	return head;
}

uint64_t
world_length(const struct rte_mbuf *mbuf)
{
	uint64_t length = 0;

	for (; mbuf != NULL; mbuf = mbuf->next)
		length += mbuf->data_len;
	return length;
}

static uint64_t
segments_of(struct rte_mbuf **mbufs, uint16_t count)
{
	uint64_t segments = 0;

	for (uint16_t i = 0; i < count; i++)
		segments += mbufs[i]->nb_segs;
	return segments;
}

static bool
is_lent(const struct rte_mbuf *mbuf)
{
	return (mbuf->ol_flags & RTE_MBUF_F_EXTERNAL) != 0;
}

static uint32_t
lent_parts_of(struct rte_mbuf **mbufs, uint32_t count)
{
	uint32_t parts = 0;

	for (uint32_t i = 0; i < count; i++) {
		for (const struct rte_mbuf *part = mbufs[i]; part != NULL; part = part->next)
			parts += is_lent(part);
	}
	return parts;
}

/* It points to bytes of the peer's, all of them in one region, and to nothing beside them. */
static void
check_lent(const struct rte_mbuf *part)
{
	const uint8_t *first = rte_pktmbuf_mtod(part, const uint8_t *);
	const struct mif_span *region = world.link->shared->regions;
	bool inside = false;

	FUZZ_CHECK(world_lends() && part->data_len >= MIF_LEND_FROM, "%u bytes lent",
			part->data_len);
	FUZZ_CHECK(part->data_off == 0 && part->buf_len == part->data_len, "room around");
	for (uint32_t i = 0; i < world.link->shared->region_count; i++, region++)
		inside |= region->size != 0 && first >= region->base &&
				first + part->data_len <= region->base + region->size;
	FUZZ_CHECK(inside, "%p is lent", (const void *)first);
}

static void
check_own(const struct rte_mbuf *part, bool first)
{
	uint32_t before = world_is_zc_client() && !first ? mif_l2_added(world.cfg.mode) : 0;

	FUZZ_CHECK(part->data_off == RTE_PKTMBUF_HEADROOM + before, "data_off %u", part->data_off);
	FUZZ_CHECK(part->data_len != 0 && part->data_len <= world.queue->room, "data_len %u",
			part->data_len);
}

static void
check_received(const struct rte_mbuf *mbuf)
{
	unsigned int segments = 0;
	const struct rte_mbuf *part;

	for (part = mbuf; part != NULL; part = part->next) {
		segments++;
		if (is_lent(part))
			check_lent(part);
		else
			check_own(part, part == mbuf);
		FUZZ_CHECK(rte_mbuf_refcnt_read(part) == 1 && part->pool == world.pool, "mbuf");
		FUZZ_CHECK((part->ol_flags & ~RTE_MBUF_F_EXTERNAL) == 0 && part->tx_offload == 0,
				"flags");
	}
	FUZZ_CHECK(segments == mbuf->nb_segs, "%u segments, not %u", segments, mbuf->nb_segs);
	FUZZ_CHECK(segments == 1 || world.cfg.scatter, "%u segments without scatter", segments);
	FUZZ_CHECK(world_length(mbuf) == mbuf->pkt_len && mbuf->pkt_len <= MIF_PACKET_MAX,
			"pkt_len %u", mbuf->pkt_len);
}

static void
check_counters(const struct mif_counters *before, uint16_t done, uint64_t bytes)
{
	const struct mif_counters *now = &world.queue->counters;
	uint64_t packets = now->packets - before->packets;
	uint64_t dropped = now->too_long - before->too_long + now->empty - before->empty +
			now->not_ip - before->not_ip;

	if (!world.cfg.transmit) {
		FUZZ_CHECK(packets == done, "%u packets counted for %u", (unsigned int)packets,
				done);
		FUZZ_CHECK(now->bytes - before->bytes == bytes, "bytes counted for %u packets",
				done);
		return;
	}
	FUZZ_CHECK(packets + dropped == done, "%u sent and %u dropped for %u",
			(unsigned int)packets, (unsigned int)dropped, done);
	FUZZ_CHECK(dropped != 0 || now->bytes - before->bytes == bytes, "bytes counted");
	FUZZ_CHECK(now->bytes - before->bytes <= bytes, "more bytes than there were");
}

/* Mbufs that are in the ring of a client with zero-copy. */
static uint32_t
in_ring(void)
{
	const struct mif_ring_end *end = world.end;
	uint32_t count = 0;

	if (!world_is_zc_client())
		return 0;
	if (!world.cfg.transmit)
		return mif_zc_posted(end);
	for (uint16_t i = end->limit; i != end->cursor; i++)
		count += end->zc->pools[i & end->mask] != NULL;
	return count;
}

/* Slots of packets that somebody has are not the peer's, all others are back or may go back. */
static void
check_loans(uint32_t lent)
{
	const struct mif_loans *loans = world.end->loans;
	uint16_t given = atomic_load(&loans->given);
	uint32_t out = 0;

	FUZZ_CHECK((uint16_t)(world.end->cursor - given) <= world.end->size,
			"more slots out than there are");
	for (uint16_t i = given; i != world.end->cursor; i++)
		out += !mif_loan_over(&loans->slots[i & loans->mask]);
	FUZZ_CHECK(out == lent, "%u slots are lent, not %u", out, lent);
	for (uint32_t i = 0; i < world.end->size; i++)
		out -= !mif_loan_over(&loans->slots[i]);
	FUZZ_CHECK(out == 0, "slots that the client has are lent");
}

uint16_t
world_burst(struct rte_mbuf **mbufs, uint16_t count)
{
	const struct mif_counters before = world.queue->counters;
	unsigned int available = rte_mempool_avail_count(world.pool);
	uint64_t lengths[WORLD_BURST_MAX];
	uint32_t ring = in_ring();
	uint64_t segments, bytes = 0;
	uint16_t done;

	for (uint16_t i = 0; world.cfg.transmit && i < count; i++)
		lengths[i] = world_length(mbufs[i]);
	segments = world.cfg.transmit ? segments_of(mbufs, count) : 0;
	done = world.cfg.transmit ? world.dev.tx_pkt_burst(world.queue, mbufs, count) :
				    world.dev.rx_pkt_burst(world.queue, mbufs, count);
	FUZZ_CHECK(done <= count, "%u packets for %u", done, count);
	FUZZ_CHECK(mif_gate_idle(&world.queue->gate), "the gate says that a burst is inside");
	for (uint16_t i = 0; i < done; i++) {
		if (!world.cfg.transmit)
			check_received(mbufs[i]);
		bytes += world.cfg.transmit ? lengths[i] : mbufs[i]->pkt_len;
	}
	if (world.cfg.transmit)
		available += (unsigned int)(segments - segments_of(mbufs + done, count - done));
	else
		available -= (unsigned int)segments_of(mbufs, done);
	available -= in_ring() - ring;
	FUZZ_CHECK(rte_mempool_avail_count(world.pool) == available, "%u mbufs left, not %u",
			rte_mempool_avail_count(world.pool), available);
	check_counters(&before, done, bytes);
	if (world_lends())
		check_loans(world.held_lent + lent_parts_of(mbufs, done));
	return done;
}

void
world_free(struct rte_mbuf **mbufs, uint16_t count)
{
	uint32_t left = WORLD_MBUFS - in_ring() - world.held;

	rte_pktmbuf_free_bulk(mbufs, count);
	FUZZ_CHECK(rte_mempool_avail_count(world.pool) == left, "%u mbufs are there, not %u",
			rte_mempool_avail_count(world.pool), left);
}

void
world_hold(struct rte_mbuf **mbufs, uint16_t count)
{
	uint32_t part = RTE_MIN((uint32_t)count, HELD_MAX - held_count);

	memcpy(&held[held_count], mbufs, part * sizeof(*mbufs));
	held_count += part;
	world.held += (uint32_t)segments_of(mbufs, (uint16_t)part);
	world.held_lent += lent_parts_of(mbufs, part);
	rte_pktmbuf_free_bulk(mbufs + part, count - part);
}

void
world_free_held(uint32_t count)
{
	struct rte_mbuf **first;

	count = RTE_MIN(count, held_count);
	held_count -= count;
	first = &held[held_count];
	world.held -= (uint32_t)segments_of(first, (uint16_t)count);
	world.held_lent -= lent_parts_of(first, count);
	rte_pktmbuf_free_bulk(first, count);
}

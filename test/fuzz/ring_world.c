/* SPDX-License-Identifier: BSD-3-Clause */

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <ethdev_driver.h>
#include <rte_mbuf.h>
#include <rte_vect.h>
#include <sanitizer/asan_interface.h>

#include "eal.h"
#include "memif_burst.h"
#include "memif_ctrl.h"
#include "memif_layout.h"
#include "memif_region.h"
#include "ring_world.h"

#define PAGE 4096
#define POOL_SIZE 1023

/* Room of region 0 (ring, and a client's buffers) and of the two further ones, whole pages. */
static const size_t room[WORLD_REGIONS] = { 2 << 20, 1 << 17, PAGE, 0 };

/* Bytes behind the headroom of receive mbufs. */
static const uint16_t mbuf_rooms[] = { 64, 256, 2048 };

/* Each chooses a build of the bursts, where the CPU has it. */
static const uint16_t simd_widths[] = { RTE_VECT_SIMD_512, RTE_VECT_SIMD_256, RTE_VECT_SIMD_128 };

struct world world;
static uint8_t *memory[WORLD_REGIONS];
static struct rte_mempool *rx_pools[COUNT_OF(mbuf_rooms)];
static struct rte_mempool *tx_pool;

static void
poison_headroom(struct rte_mempool *pool, void *arg, void *object, unsigned int index)
{
	const struct rte_mbuf *mbuf = object;

	(void)pool;
	(void)arg;
	(void)index;
	ASAN_POISON_MEMORY_REGION(mbuf->buf_addr, RTE_PKTMBUF_HEADROOM);
}

void
world_init(void)
{
	char name[32];
	uint8_t *at;

	fuzz_eal_init();
	for (size_t i = 0; i < COUNT_OF(mbuf_rooms); i++) {
		snprintf(name, sizeof(name), "rx%zu", i);
		rx_pools[i] = fuzz_pool(name, POOL_SIZE, mbuf_rooms[i]);
		/* Received bytes start behind it. */
		rte_mempool_obj_iter(rx_pools[i], poison_headroom, NULL);
	}
	tx_pool = fuzz_pool("tx", POOL_SIZE, 2048);
	for (int i = 0; i < WORLD_REGIONS && room[i] != 0; i++) {
		at = mmap(NULL, room[i] + 2 * PAGE, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		FUZZ_CHECK(at != MAP_FAILED, "no memory");
		memory[i] = at + PAGE;
		FUZZ_CHECK(mprotect(memory[i], room[i], PROT_READ | PROT_WRITE) == 0, "mprotect");
	}
}

struct world_cfg
world_read_cfg(struct fuzz_input *in)
{
	uint8_t bits = fuzz_u8(in);
	uint8_t size = fuzz_u8(in);
	struct world_cfg cfg = {
		.role = (bits & 1) != 0 ? MIF_SERVER : MIF_CLIENT,
		.transmit = (bits & 2) != 0,
		.scatter = (bits & 4) != 0,
		.pool = (bits >> 3) % 4 % COUNT_OF(mbuf_rooms),
		.simd = (bits >> 5) % COUNT_OF(simd_widths),
		/* Mostly small rings, where an input reaches every slot. */
		.log2 = size < 250 ? 1 + size % 8 : 9 + size % 6,
	};

	cfg.buffer_size = fuzz_u16(in);
	cfg.first = fuzz_u16(in);
	if (cfg.buffer_size == 0)
		cfg.buffer_size = 2048;
	/* Buffers that are too many to fit are made smaller. */
	while ((uint64_t)mif_layout_stride(cfg.buffer_size) << cfg.log2 > room[0] / 4 * 3)
		cfg.buffer_size /= 2;
	return cfg;
}

static struct mif_span
use_memory(uint32_t index, uint64_t size)
{
	if (memory[index] == NULL)
		return (struct mif_span){ 0 };
	ASAN_UNPOISON_MEMORY_REGION(memory[index], room[index]);
	ASAN_POISON_MEMORY_REGION(memory[index] + size, room[index] - size);
	return (struct mif_span){ .base = memory[index], .size = size };
}

/* In place of memif_region.c. */

uint64_t
mif_region_page_size(void)
{
	return MIF_LINE_SIZE;
}

int
mif_region_create(struct mif_region *region, uint64_t size, const char *name)
{
	(void)name;
	FUZZ_CHECK(size <= room[0], "a region of %llu bytes", (unsigned long long)size);
	*region = MIF_REGION_NONE;
	region->addr = use_memory(0, size).base;
	region->size = size;
	region->page_size = mif_region_page_size();
	region->sealed = true;
	return 0;
}

int
mif_region_adopt(struct mif_region *region, int fd, uint64_t size, bool sealed_only,
		const char **why)
{
	FUZZ_CHECK(region == NULL, "fd %d, %llu bytes, %d, %s", fd, (unsigned long long)size,
			sealed_only, *why);
	return -1;
}

int
mif_region_follow(struct mif_region *region)
{
	FUZZ_CHECK(region == NULL, "a region of %llu bytes", (unsigned long long)region->size);
	return -1;
}

void
mif_region_share(void)
{
}

void
mif_region_close(struct mif_region *region)
{
	FUZZ_CHECK(region->fd < 0, "fd %d", region->fd);
}

void
mif_region_release(struct mif_region *region)
{
	*region = MIF_REGION_NONE;
}

/* What a client has offered: a ring in region 0, and buffers anywhere. */
static void
take_regions(struct mif_link *link, const struct world_cfg *cfg)
{
	link->shared->regions[0] = use_memory(0, mif_ring_bytes(cfg->log2) + 65536 + 5);
	link->shared->regions[1] = use_memory(1, room[1] - 24);
	link->shared->regions[2] = use_memory(2, 100);
	link->shared->regions[3] = use_memory(3, 0);
	link->shared->region_count = WORLD_REGIONS;
	memset(link->shared->regions[0].base, 0, mif_ring_bytes(cfg->log2));
	mif_ring_format((struct mif_ring *)(void *)link->shared->regions[0].base);
}

static struct mif_link *
connect_link(const struct world_cfg *cfg, enum mif_dir dir)
{
	struct mif_link *link = mif_link_create("fuzz", 1, SOCKET_ID_ANY);
	struct mif_geometry *geometry = calloc(1, sizeof(*geometry));
	struct mif_link_cfg wanted = {
		.log2_ring_size = cfg->log2,
		.buffer_size = cfg->buffer_size,
		.max_regions = 1,
		.socket = SOCKET_ID_ANY,
	};
	const char *why = NULL;
	int ret = 0;

	geometry->rings[dir] = 1;
	if (cfg->role == MIF_CLIENT) {
		ret = mif_link_build(link, geometry, &wanted, &why);
	} else {
		geometry->ring[dir][0].log2_ring_size = cfg->log2;
		link->event_fds[dir][0] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		take_regions(link, cfg);
	}
	if (ret == 0)
		ret = mif_link_finish(link, cfg->role, geometry, SOCKET_ID_ANY, &why);
	FUZZ_CHECK(ret == 0, "no link: %s", why);
	free(geometry);
	return link;
}

/* A connection that has moved so many packets already: indices wrap. */
static void
move_on(struct mif_ring_end *end, uint16_t first)
{
	end->cursor = first;
	end->limit = first;
	*end->own_index = (uint16_t)(*end->own_index + first);
	*world_peer_index() = first;
}

void
world_start(const struct world_cfg *cfg)
{
	enum mif_dir dir = cfg->transmit == (cfg->role == MIF_CLIENT) ? MIF_C2S : MIF_S2C;
	static struct rte_eth_dev_data data; /* a port without queues and offloads */
	const struct mif_devargs args = { .role = cfg->role };

	world.cfg = *cfg;
	world.seed = 1;
	if (world.link != NULL) {
		mif_link_free(world.link);
		mif_queue_drop(world.queue);
	}
	world.queue = mif_queue_create(0, SOCKET_ID_ANY);
	FUZZ_CHECK(world.queue != NULL, "no queue");
	world.link = connect_link(cfg, dir);
	world.end = world.link->ends[dir];
	move_on(world.end, cfg->first);
	world.pool = cfg->transmit ? tx_pool : rx_pools[cfg->pool];
	mif_queue_set_pool(world.queue, world.pool, 0, cfg->scatter);
	mif_gate_open(&world.queue->gate, world.end);
	rte_vect_set_max_simd_bitwidth(simd_widths[cfg->simd]);
	world.dev.data = &data;
	mif_burst_choose(&world.dev, &args);
}

uint16_t *
world_peer_index(void)
{
	return mif_ring_index(world.end->ring,
			world.cfg.role == MIF_CLIENT ? MIF_SERVER : MIF_CLIENT);
}

uint16_t
world_honest_index(uint16_t slots)
{
	const struct mif_ring_end *end = world.end;
	uint16_t in_use = (uint16_t)(end->cursor - end->limit);

	if (world.cfg.transmit && world.cfg.role == MIF_CLIENT)
		return (uint16_t)(end->limit + slots % (in_use + 1u));
	return (uint16_t)(end->cursor + slots);
}

uint16_t
world_farthest_index(void)
{
	const struct mif_ring_end *end = world.end;

	if (world.cfg.transmit && world.cfg.role == MIF_CLIENT)
		return end->cursor;
	return (uint16_t)(end->cursor + end->size);
}

struct mif_span
world_region(uint16_t index)
{
	if (index < world.link->shared->region_count)
		return world.link->shared->regions[index];
	return (struct mif_span){ 0 };
}

bool
world_in_regions(const void *addr)
{
	for (int i = 0; i < WORLD_REGIONS && room[i] != 0; i++) {
		if ((const uint8_t *)addr >= memory[i] &&
				(const uint8_t *)addr < memory[i] + room[i])
			return true;
	}
	return false;
}

struct mif_desc
world_read_desc(struct fuzz_input *in)
{
	uint8_t choice = fuzz_u8(in);
	struct mif_desc desc = {
		.flags = (choice & 1) != 0 ? MIF_DESC_NEXT : 0,
		.region = (choice >> 1) % 4,
		.length = fuzz_u16(in),
		.offset = fuzz_u16(in),
	};
	uint32_t size = (uint32_t)world_region(desc.region).size;

	switch (choice >> 4) {
	case 0: /* the last bytes of the region */
		desc.offset = size - desc.length;
		break;
	case 1: /* one byte too far */
		desc.offset = size - desc.length + 1;
		break;
	case 2: /* 32 bits would take it */
		desc.offset = UINT32_MAX - desc.length + 1 + fuzz_u8(in);
		break;
	case 3:
		desc.region = fuzz_u16(in);
		desc.flags = fuzz_u16(in);
		break;
	case 4:
		desc.length = fuzz_u32(in);
		desc.offset = fuzz_u32(in);
		break;
	case 5: /* about what a slot, or an mbuf, holds */
		desc.length = world.cfg.role == MIF_CLIENT ? world.end->buffer_size :
							     world.queue->room;
		desc.length += fuzz_range(in, 0, 2) - 1;
		break;
	case 6:
		desc.length = fuzz_range(in, 0, 2);
		break;
	default:
		desc.length %= 1600;
		break;
	}
	return desc;
}

/* What a segment does not use is poisoned: a peer must not get to see other bytes. */
static struct rte_mbuf *
segment(uint16_t length, uint64_t seed, uint64_t *place)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(tx_pool);
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

static void
check_received(const struct rte_mbuf *mbuf)
{
	unsigned int segments = 0;
	const struct rte_mbuf *part;

	for (part = mbuf; part != NULL; part = part->next) {
		segments++;
		FUZZ_CHECK(part->data_off == RTE_PKTMBUF_HEADROOM, "data_off %u", part->data_off);
		FUZZ_CHECK(part->data_len != 0 && part->data_len <= world.queue->room,
				"data_len %u", part->data_len);
		FUZZ_CHECK(rte_mbuf_refcnt_read(part) == 1 && part->pool == world.pool, "mbuf");
		FUZZ_CHECK(part->ol_flags == 0 && part->tx_offload == 0, "flags");
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
	uint64_t dropped = now->too_long - before->too_long + now->empty - before->empty;

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

uint16_t
world_burst(struct rte_mbuf **mbufs, uint16_t count)
{
	const struct mif_counters before = world.queue->counters;
	unsigned int available = rte_mempool_avail_count(world.pool);
	uint64_t lengths[WORLD_BURST_MAX];
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
	FUZZ_CHECK(rte_mempool_avail_count(world.pool) == available, "%u mbufs left, not %u",
			rte_mempool_avail_count(world.pool), available);
	check_counters(&before, done, bytes);
	return done;
}

void
world_free(struct rte_mbuf **mbufs, uint16_t count)
{
	rte_pktmbuf_free_bulk(mbufs, count);
	FUZZ_CHECK(rte_mempool_avail_count(world.pool) == POOL_SIZE, "%u mbufs are lost",
			POOL_SIZE - rte_mempool_avail_count(world.pool));
}

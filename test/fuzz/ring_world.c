/* SPDX-License-Identifier: BSD-3-Clause */

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <ethdev_driver.h>
#include <rte_mbuf.h>
#include <rte_vect.h>
#include <sanitizer/asan_interface.h>

#include "eal.h"
#include "memif_burst.h"
#include "memif_ctrl.h"
#include "memif_layout.h"
#include "memif_region.h"
#include "memif_zc_ring.h"
#include "memif_zc_server.h"
#include "ring_world.h"

#define PAGE 4096

/* Room of region 0 (ring, and a client's buffers) and of the two further ones, whole pages. */
static const size_t room[WORLD_REGIONS] = { 4 << 20, 1 << 17, PAGE, 0 };

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
		rx_pools[i] = fuzz_pool(name, WORLD_MBUFS, mbuf_rooms[i]);
		/* Received bytes start behind it. */
		rte_mempool_obj_iter(rx_pools[i], poison_headroom, NULL);
	}
	tx_pool = fuzz_pool("tx", WORLD_MBUFS, 2048);
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
	uint8_t kind = fuzz_u8(in);
	struct world_cfg cfg = {
		.role = (bits & 1) != 0 ? MIF_SERVER : MIF_CLIENT,
		.mode = (kind & 1) != 0 ? MIF_MODE_IP : MIF_MODE_ETHERNET,
		.zero_copy = (kind & 2) != 0,
		.exposed = (kind & 4) == 0,
		.seed = kind >> 3,
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
	while ((uint64_t)mif_layout_stride(cfg.buffer_size, false) << cfg.log2 > room[0] / 8 * 3)
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

/* With zero-copy a client has files of EAL's. */
void
mif_region_close(struct mif_region *region)
{
	if (region->fd >= 0)
		close(region->fd);
	region->fd = -1;
}

void
mif_region_release(struct mif_region *region)
{
	mif_region_close(region);
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
		.max_regions = cfg->exposed ? MIF_REGIONS_MAX : 1,
		.socket = SOCKET_ID_ANY,
		.zero_copy = cfg->zero_copy ? &world.dev : NULL,
	};
	const char *why = NULL;
	int ret = 0;

	geometry->rings[dir] = 1;
	if (cfg->role == MIF_CLIENT) {
		mif_ctrl_lock();
		ret = mif_link_build(link, geometry, &wanted, &why);
		mif_ctrl_unlock();
	} else {
		link->lends = cfg->zero_copy;
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
	if (world_is_zc_client())
		end->zc->head = first;
	if (world_lends()) {
		atomic_store(&end->loans->given, first);
		atomic_store(&end->loans->taken, first);
		atomic_store(&end->loans->lent, first);
	}
}

/* What memif_attach.c and the set-up of queues do for the kinds of port. */
static void
equip(struct mif_queue *queue, struct mif_ring_end *end, const struct world_cfg *cfg)
{
	static const struct rte_ether_addr own = { { 2, 0, 0, 0, 0, 1 } }, theirs = { { 2 } };

	mif_l2_init(&queue->l2, &own, &theirs);
	queue->free_thresh = cfg->transmit && cfg->zero_copy ? 8u * cfg->pool : 0;
	queue->copybreak = (cfg->seed & 1) != 0 ? 64 : 0;
	if (world_is_zc_client() && !cfg->transmit)
		mif_zc_ring_start(queue, end, cfg->mode);
	if (world_lends()) {
		mif_lend_setup_queue(queue, cfg->mode, "fuzz");
		mif_lend_attach(end, queue);
	}
}

/* The end of the connection: now no mbuf is missing. */
static void
end_connection(void)
{
	world_free_held(UINT32_MAX);
	if (world.link == NULL)
		return;
	mif_link_free(world.link);
	mif_queue_drop(world.queue);
	FUZZ_CHECK(rte_mempool_avail_count(world.pool) == WORLD_MBUFS,
			"%u mbufs are lost at the end",
			WORLD_MBUFS - rte_mempool_avail_count(world.pool));
}

/* mode=ip: what a peer has sent begins like IPv4, wherever it begins, until that is written over. */
static void
set_bytes(const struct world_cfg *cfg)
{
	const struct mif_span *region = &world.link->shared->regions[1];

	if (cfg->mode == MIF_MODE_ETHERNET || cfg->transmit)
		return;
	if (cfg->role == MIF_SERVER)
		memset(region->base, 0x45, region->size);
	else
		memset(world.end->buffers, 0x45, (size_t)world.end->stride << cfg->log2);
	for (uint16_t i = 0; world_is_zc_client() && i < mif_zc_posted(world.end); i++)
		*world_slot_data((uint16_t)(world.end->cursor + i)) = 0x45;
}

void
world_start(const struct world_cfg *cfg)
{
	enum mif_dir dir = cfg->transmit == (cfg->role == MIF_CLIENT) ? MIF_C2S : MIF_S2C;
	static struct rte_eth_dev_data data; /* a port without offloads */
	static void *queues[1];
	const struct mif_devargs args = {
		.role = cfg->role,
		.mode = cfg->mode,
		.zero_copy = cfg->zero_copy,
	};

	end_connection();
	world.cfg = *cfg;
	world.seed = 1 + cfg->seed;
	world.pool = cfg->transmit ? tx_pool : rx_pools[cfg->pool];
	world.queue = mif_queue_create(0, SOCKET_ID_ANY);
	FUZZ_CHECK(world.queue != NULL, "no queue");
	mif_queue_set_pool(world.queue, world.pool, 0, cfg->scatter);
	queues[0] = world.queue;
	data.rx_queues = queues;
	data.nb_rx_queues = 1;
	world.dev.data = &data;
	world.link = connect_link(cfg, dir);
	world.end = world.link->ends[dir];
	move_on(world.end, cfg->first);
	equip(world.queue, world.end, cfg);
	mif_gate_open(&world.queue->gate, world.end);
	rte_vect_set_max_simd_bitwidth(simd_widths[cfg->simd]);
	mif_burst_choose(&world.dev, &args);
	set_bytes(cfg);
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
	return (uint16_t)(end->cursor + (world.cfg.transmit ? end->size : world_slots()));
}

/* Slots that a server with zero-copy has not given back when the next burst begins. */
static uint16_t
slots_out(void)
{
	const struct mif_loans *loans = world.end->loans;
	uint16_t given = atomic_load(&loans->given);

	while (given != world.end->cursor && mif_loan_over(&loans->slots[given & loans->mask]))
		given++;
	return (uint16_t)(world.end->cursor - given);
}

uint32_t
world_slots(void)
{
	const struct mif_ring_end *end = world.end;

	if (world_is_zc_client())
		return mif_zc_posted(end);
	return world_lends() ? end->size - slots_out() : end->size;
}

uint32_t
world_slot_room(uint16_t index)
{
	const struct mif_ring_end *end = world.end;

	if (!world_is_zc_client())
		return end->buffer_size;
	return end->zc->copied[index % end->size] ? end->zc->copied_room : end->zc->room;
}

uint8_t *
world_slot_data(uint16_t index)
{
	const struct mif_ring_end *end = world.end;
	uint32_t slot = index % end->size;

	if (world_is_zc_client() && !end->zc->copied[slot])
		return mif_zc_place(end->zc->mbufs[slot], world.cfg.mode);
	return end->buffers + (size_t)slot * end->stride;
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

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <ethdev_driver.h>
#include <rte_malloc.h>

#include "memif_chan.h"
#include "memif_cpu.h"
#include "memif_ctrl.h"
#include "memif_discard.h"
#include "memif_guard.h"
#include "memif_layout.h"
#include "memif_link.h"
#include "memif_log.h"
#include "memif_notify.h"
#include "memif_numa.h"
#include "memif_ring.h"
#include "memif_zc_memory.h"
#include "memif_zc_ring.h"
#include "memif_zc_server.h"

/* Of the last connection made, of all ports. */
static uint64_t last_generation;

struct mif_link *
mif_link_create(const char *name, uint32_t queues, int socket)
{
	struct mif_link *link = calloc(1, sizeof(*link));

	if (link == NULL)
		return NULL;
	link->shared = rte_zmalloc_socket("memif link", sizeof(*link->shared), RTE_CACHE_LINE_SIZE,
			socket);
	/* Had now, as a disconnect must not fail for want of memory. */
	link->waiting = calloc(queues + 1, sizeof(struct mif_queue *));
	if (link->shared == NULL || link->waiting == NULL) {
		rte_free(link->shared);
		free(link->waiting);
		free(link);
		return NULL;
	}
	snprintf(link->name, sizeof(link->name), "%s", name);
	link->shared->generation = ++last_generation;
	link->shared->notifier = mif_ctrl_notifier();
	link->shared->kick_fd = mif_ctrl_kick_fd();
	for (int i = 0; i < MIF_REGIONS_MAX; i++)
		link->regions[i] = MIF_REGION_NONE;
	memset(link->event_fds, -1, sizeof(link->event_fds));
	link->sock = -1;
	return link;
}

static void
set_region(struct mif_link *link, uint16_t index)
{
	link->shared->regions[index].base = link->regions[index].addr;
	link->shared->regions[index].size = link->regions[index].size;
	link->shared->region_count = index + 1u;
}

static int
make_memory(struct mif_link *link, const struct mif_geometry *geometry, int socket)
{
	int ret;

	for (uint16_t i = 0; i < geometry->regions; i++) {
		ret = mif_region_create(&link->regions[i], geometry->region_size[i], "memif");
		if (ret != 0)
			return ret;
		set_region(link, i);
		ret = mif_numa_prefer(link->regions[i].addr, link->regions[i].size, socket);
		if (ret != 0)
			MIF_LOG(INFO, link->name,
					"rings and buffers may lie on another NUMA node than %d: %s; packets "
					"may be slower",
					socket, strerror(-ret));
	}
	return 0;
}

static struct mif_ring *
ring_at(const struct mif_link *link, const struct mif_ring_place *place)
{
	uint8_t *base = link->shared->regions[place->region].base;

	return (struct mif_ring *)(void *)(base + place->offset);
}

static int
make_rings(struct mif_link *link, const struct mif_geometry *geometry)
{
	for (int dir = 0; dir < MIF_DIRS; dir++) {
		for (uint16_t i = 0; i < geometry->rings[dir]; i++) {
			mif_ring_format(ring_at(link, &geometry->ring[dir][i]));
			link->event_fds[dir][i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
			if (link->event_fds[dir][i] < 0)
				return -errno;
		}
	}
	return 0;
}

/* A server must know where each ring's buffers are; a client's layout tells it. */
static int
make_ends(struct mif_link *link, const uint16_t rings[MIF_DIRS], int socket)
{
	for (int dir = 0; dir < MIF_DIRS; dir++) {
		if (rings[dir] == 0)
			continue;
		link->ends[dir] = rte_zmalloc_socket("memif rings",
				rings[dir] * sizeof(struct mif_ring_end), RTE_CACHE_LINE_SIZE,
				socket);
		if (link->ends[dir] == NULL)
			return -ENOMEM;
		link->end_count[dir] = rings[dir];
	}
	return 0;
}

static void
use_buffers(struct mif_link *link, const struct mif_layout *layout,
		const struct mif_geometry *geometry)
{
	const struct mif_buffer_run *run;
	struct mif_ring_end *end;

	for (int dir = 0; dir < MIF_DIRS; dir++) {
		for (uint16_t i = 0; i < geometry->rings[dir]; i++) {
			run = &layout->run[dir][i];
			end = &link->ends[dir][i];
			end->region = run->region;
			end->buffers_offset = run->offset;
			end->base = link->shared->regions[run->region].base;
			end->buffers = end->base + run->offset;
			end->buffer_size = layout->buffer_size;
			end->stride = run->stride;
			mif_pack_init(end->pack, run->stride,
					geometry->ring[dir][i].log2_ring_size);
			end->capacity = (uint64_t)layout->buffer_size
					<< geometry->ring[dir][i].log2_ring_size;
		}
	}
}

/* Regions behind those of the rings. */
static int
expose(struct mif_link *link, struct mif_geometry *geometry, const struct mif_link_cfg *cfg)
{
	const struct mif_zc_regions to = {
		.regions = link->regions,
		.spans = link->shared->regions,
		.first = geometry->regions,
		.max = cfg->max_regions,
	};

	if (cfg->zero_copy == NULL)
		return 0;
	link->memory = mif_zc_memory_create(cfg->zero_copy, &to);
	if (link->memory == NULL)
		return -ENOMEM;
	for (uint16_t i = 0; i < link->memory->count; i++, geometry->regions++)
		geometry->region_size[geometry->regions] = link->regions[geometry->regions].size;
	link->shared->region_count = geometry->regions;
	return 0;
}

int
mif_link_build(struct mif_link *link, struct mif_geometry *geometry, const struct mif_link_cfg *cfg,
		const char **why)
{
	struct mif_layout_cfg wanted = {
		.rings = { geometry->rings[MIF_C2S], geometry->rings[MIF_S2C] },
		.log2_ring_size = cfg->log2_ring_size,
		.buffer_size = cfg->buffer_size,
		.max_regions = cfg->max_regions,
		.page_size = mif_region_page_size(),
		.close[MIF_S2C] = mif_cpu_receives_into_close_buffers(),
	};
	struct mif_layout *layout = malloc(sizeof(*layout));
	int ret;

	*why = "out of memory";
	if (layout == NULL)
		return -ENOMEM;
	ret = mif_layout_plan(layout, geometry, &wanted);
	if (ret != 0) {
		*why = "rings and buffers need more regions than the server takes";
	} else if ((ret = make_memory(link, geometry, cfg->socket)) != 0) {
		*why = "no shared memory for rings and buffers";
	} else if ((ret = make_rings(link, geometry)) != 0) {
		*why = "no eventfd for a ring";
	} else if ((ret = make_ends(link, geometry->rings, cfg->socket)) == 0 &&
			(ret = expose(link, geometry, cfg)) == 0) {
		use_buffers(link, layout, geometry);
		link->buffer_size = cfg->buffer_size;
	}
	free(layout);
	return ret;
}

static int
guard_region(struct mif_link *link, struct mif_region *region, const char **why)
{
	const struct mif_guard guard = {
		.addr = region->addr,
		.size = region->size,
		.page_size = region->page_size,
		.fault = &link->shared->fault,
		.value = MIF_FAULT_MEMORY,
		.wake_fd = mif_ctrl_kick_fd(),
	};
	int ret = region->sealed ? 0 : mif_guard_add(&guard);

	if (ret != 0) {
		*why = "region cannot be guarded against being pulled away";
		mif_region_release(region);
	}
	return ret;
}

/* Address space is shared by all connections. */
static int
account_region(struct mif_link *link, struct mif_region *region, const char **why)
{
	link->mapped += region->size;
	if (link->mapped <= MIF_LINK_REACH)
		return 0;
	*why = "regions are too large together";
	mif_region_release(region);
	return -E2BIG;
}

int
mif_link_take_region(struct mif_link *link, uint16_t index, int fd, uint64_t size, bool sealed_only,
		const char **why)
{
	struct mif_region *region = &link->regions[index];
	int ret = mif_region_adopt(region, fd, size, sealed_only, why);

	if (ret == 0)
		ret = account_region(link, region, why);
	if (ret == 0)
		ret = guard_region(link, region, why);
	if (ret == 0)
		set_region(link, index);
	return ret;
}

int
mif_link_take_event(struct mif_link *link, enum mif_dir dir, uint16_t index, int fd,
		const char **why)
{
	if (!mif_is_eventfd(fd)) {
		*why = "file of a ring is not an eventfd";
		mif_discard_fd(fd);
		return -EINVAL;
	}
	link->event_fds[dir][index] = fd;
	return 0;
}

/* A server fills what the client has posted; a client may fill the whole empty ring. */
static void
finish_end(struct mif_link *link, struct mif_ring_end *end, enum mif_role role,
		const struct mif_ring_place *place)
{
	struct mif_ring *ring = ring_at(link, place);

	end->ring = ring;
	end->desc = ring->desc;
	end->size = 1u << place->log2_ring_size;
	end->mask = end->size - 1;
	end->own_index = mif_ring_index(ring, role);
	end->peer_index = mif_ring_index(ring, role == MIF_CLIENT ? MIF_SERVER : MIF_CLIENT);
	end->common = link->shared;
}

/* All receive buffers of a client are with the server, always. */
static void
post_all(struct mif_ring_end *end)
{
	for (uint32_t i = 0; i < end->size; i++)
		mif_desc_write(&end->desc[i], mif_own_buffer(end, i));
	mif_ring_publish(end->own_index, (uint16_t)end->size);
}

static int
pick_memory(struct mif_ring_end *end, int socket)
{
	end->picked = rte_malloc_socket("memif chain", end->size * sizeof(*end->picked),
			RTE_CACHE_LINE_SIZE, socket);
	return end->picked == NULL ? -ENOMEM : 0;
}

/* Cookie and, by role and direction, what the data path needs beside the ring. */
static int
equip_end(struct mif_link *link, struct mif_ring_end *end, enum mif_dir dir, int socket,
		const char **why)
{
	if (__atomic_load_n(&end->ring->cookie, __ATOMIC_RELAXED) != MIF_RING_COOKIE) {
		*why = "ring without its cookie";
		return -EPROTO;
	}
	if (link->role == MIF_SERVER && dir == MIF_S2C)
		return pick_memory(end, socket);
	if (link->role == MIF_SERVER)
		return link->lends ? mif_lend_equip(end, link, socket) : 0;
	if (link->memory != NULL)
		return mif_zc_ring_make(end, link->memory->map, socket);
	if (dir == MIF_S2C)
		post_all(end);
	return 0;
}

int
mif_link_finish(struct mif_link *link, enum mif_role role, const struct mif_geometry *geometry,
		int socket, const char **why)
{
	struct mif_ring_end *end;
	int ret = 0;

	*why = "out of memory";
	link->role = role;
	if (role == MIF_SERVER)
		ret = make_ends(link, geometry->rings, socket);
	for (int dir = 0; dir < MIF_DIRS && ret == 0; dir++) {
		for (uint16_t i = 0; i < geometry->rings[dir] && ret == 0; i++) {
			end = &link->ends[dir][i];
			finish_end(link, end, role, &geometry->ring[dir][i]);
			end->index = i;
			end->event_fd = link->event_fds[dir][i];
			ret = equip_end(link, end, dir, socket, why);
		}
	}
	return ret;
}

void
mif_link_close_files(struct mif_link *link)
{
	if (link->sock >= 0)
		mif_chan_close(link->sock);
	link->sock = -1;
	for (uint32_t i = 0; i < link->shared->region_count; i++)
		mif_region_close(&link->regions[i]);

	for (int dir = 0; dir < MIF_DIRS; dir++) {
		for (int i = 0; i < MIF_RINGS_MAX; i++) {
			if (link->event_fds[dir][i] >= 0)
				close(link->event_fds[dir][i]);
			link->event_fds[dir][i] = -1;
		}
	}
}

void
mif_link_free(struct mif_link *link)
{
	mif_link_close_files(link);
	for (int dir = 0; dir < MIF_DIRS; dir++) {
		for (uint16_t i = 0; i < link->end_count[dir]; i++) {
			mif_lend_release(&link->ends[dir][i]);
			mif_zc_ring_free(&link->ends[dir][i], (enum mif_dir)dir);
			rte_free(link->ends[dir][i].picked);
		}
		rte_free(link->ends[dir]);
	}
	for (int i = 0; i < MIF_REGIONS_MAX; i++) {
		if (!link->regions[i].sealed)
			mif_guard_remove(link->regions[i].addr);
		mif_region_release(&link->regions[i]);
	}
	mif_zc_memory_free(link->memory);
	rte_free(link->shared);
	free(link->waiting);
	free(link);
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "memif_layout.h"
#include "memif_pack.h"

/* Pairs of lines are fetched together, so rings two lines apart do not disturb each other. */
#define RING_SPACING (2 * MIF_LINE_SIZE)

#define REGION_LIMIT (UINT64_C(1) << 32)

static uint64_t
round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

uint32_t
mif_layout_stride(uint32_t buffer_size, bool close)
{
	uint32_t lines = (buffer_size + MIF_LINE_SIZE - 1) / MIF_LINE_SIZE;

	return (close ? lines : lines | 1) * MIF_LINE_SIZE;
}

static bool
valid(const struct mif_layout_cfg *cfg)
{
	bool page_ok = cfg->page_size >= MIF_LINE_SIZE && cfg->page_size <= REGION_LIMIT &&
			(cfg->page_size & (cfg->page_size - 1)) == 0;

	return cfg->rings[MIF_C2S] + cfg->rings[MIF_S2C] != 0 &&
			cfg->rings[MIF_C2S] <= MIF_RINGS_MAX &&
			cfg->rings[MIF_S2C] <= MIF_RINGS_MAX &&
			cfg->log2_ring_size >= MIF_LOG2_RING_MIN &&
			cfg->log2_ring_size <= MIF_LOG2_RING_MAX && cfg->buffer_size >= 1 &&
			cfg->buffer_size <= UINT16_MAX && page_ok;
}

static uint64_t
place_rings(struct mif_geometry *geometry, const struct mif_layout_cfg *cfg)
{
	uint64_t step = round_up(mif_ring_bytes(cfg->log2_ring_size), RING_SPACING);
	uint64_t offset = 0;

	for (int dir = 0; dir < MIF_DIRS; dir++) {
		geometry->rings[dir] = cfg->rings[dir];
		for (int i = 0; i < cfg->rings[dir]; i++) {
			geometry->ring[dir][i] = (struct mif_ring_place){
				.region = 0,
				.offset = (uint32_t)offset,
				.log2_ring_size = cfg->log2_ring_size,
			};
			offset += step;
		}
	}
	return offset;
}

int
mif_layout_plan(struct mif_layout *layout, struct mif_geometry *geometry,
		const struct mif_layout_cfg *cfg)
{
	uint64_t run_bytes, end;
	uint32_t region = 0;
	uint32_t stride;

	if (!valid(cfg))
		return -EINVAL;
	memset(layout, 0, sizeof(*layout));
	memset(geometry, 0, sizeof(*geometry));
	layout->buffer_size = cfg->buffer_size;
	end = place_rings(geometry, cfg);

	for (int dir = 0; dir < MIF_DIRS; dir++) {
		stride = mif_layout_stride(cfg->buffer_size, cfg->close[dir]);
		run_bytes = dir == MIF_C2S ? mif_pack_bytes(stride, cfg->log2_ring_size) :
					     (uint64_t)stride << cfg->log2_ring_size;
		for (int i = 0; i < cfg->rings[dir]; i++) {
			if (end + run_bytes > REGION_LIMIT) {
				geometry->region_size[region] = round_up(end, cfg->page_size);
				end = 0;
				if (++region >= MIF_REGIONS_MAX)
					return -E2BIG;
			}
			layout->run[dir][i] = (struct mif_buffer_run){
				.region = (uint16_t)region,
				.offset = (uint32_t)end,
				.stride = stride,
			};
			end += run_bytes;
		}
	}
	geometry->region_size[region] = round_up(end, cfg->page_size);
	geometry->regions = (uint16_t)(region + 1);
	return geometry->regions > cfg->max_regions ? -E2BIG : 0;
}

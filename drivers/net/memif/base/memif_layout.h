/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Where a client puts rings and packet buffers in the memory it offers. Pure arithmetic in 64 bits.
 *
 * All rings lie at the start of region 0, the buffers of one ring behind them in one run. A
 * descriptor's offset has 32 bits, so a region ends at 4 GiB and further buffers go into the next
 * one. Buffers do not start on a power-of-two stride unless that is asked for: it puts all of them
 * into the same few cache sets, which costs most CPUs up to half of the rate of small packets.
 */

#ifndef MEMIF_LAYOUT_H
#define MEMIF_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "memif_abi.h"
#include "memif_conn.h"

/** What to lay out. */
struct mif_layout_cfg {
	uint16_t rings[MIF_DIRS]; /**< up to MIF_RINGS_MAX each */
	uint8_t log2_ring_size;	  /**< MIF_LOG2_RING_MIN to MIF_LOG2_RING_MAX */
	uint32_t buffer_size;	  /**< bytes that a buffer holds, 1 to 65535 */
	uint16_t max_regions;	  /**< what the peer takes */
	uint64_t page_size;	  /**< regions are whole pages of this many bytes */
	bool close[MIF_DIRS];	  /**< buffers lie as close to each other as lines allow */
};

/** Where the buffers of one ring lie; buffer i starts at offset + i * stride. */
struct mif_buffer_run {
	uint16_t region;
	uint32_t offset; /**< bytes from the start of the region */
	uint32_t stride; /**< bytes from one buffer to the next */
};

/** The result. */
struct mif_layout {
	uint32_t buffer_size; /**< bytes of room in each buffer */
	struct mif_buffer_run run[MIF_DIRS][MIF_RINGS_MAX];
};

/** Bytes from one buffer to the next: whole lines, an odd number of them unless close. */
uint32_t mif_layout_stride(uint32_t buffer_size, bool close);

/**
 * Lay out rings and buffers.
 *
 * @param layout    gets the buffers' places
 * @param geometry  gets regions, their sizes, and the rings' places
 * @return 0; -EINVAL when a value is out of its range; -E2BIG when it takes more regions than
 *         max_regions
 */
int mif_layout_plan(struct mif_layout *layout, struct mif_geometry *geometry,
		const struct mif_layout_cfg *cfg);

#endif /* MEMIF_LAYOUT_H */

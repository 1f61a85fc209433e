/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * One region of shared memory: made by this end, or taken over from the peer. It owns its file
 * descriptor and its mapping.
 */

#ifndef MEMIF_REGION_H
#define MEMIF_REGION_H

#include <stdbool.h>
#include <stdint.h>

/** A region; all zero but fd = -1 when there is none. */
struct mif_region {
	int fd;		    /**< of a region that this end made, or keeps for others; else -1 */
	uint8_t *addr;	    /**< first byte of the mapping */
	uint64_t size;	    /**< bytes mapped */
	uint64_t page_size; /**< bytes of a page of the file */
	bool sealed;	    /**< nobody can take its pages away */
	bool kept;	    /**< taken over, and its file kept; see mif_region_share() */
};

/**
 * Bytes of a peer's region that are mapped: a descriptor's 32-bit offset and length reach no
 * further. A sparse file of terabytes must not use up the address space.
 */
#define MIF_REGION_REACH (UINT64_C(8) << 30)

/** A region that is not there. */
#define MIF_REGION_NONE ((struct mif_region){ .fd = -1 })

/**
 * From here on other processes may map this one's regions, at the same addresses: regions get
 * addresses that are likely to be free there too, and the files of those taken over are kept as
 * long as all together are no more than a quarter of the files that this process may have. A peer's
 * hundreds of files must not use up ours.
 */
void mif_region_share(void);

/** Bytes of a page of a region that mif_region_create() makes. */
uint64_t mif_region_page_size(void);

/**
 * Make a region of zero bytes in a memfd that can neither shrink nor grow. Its pages are made by use.
 *
 * @param size  bytes, whole pages
 * @param name  for /proc/PID/maps
 * @return 0, or a negative errno; then *region is MIF_REGION_NONE
 */
int mif_region_create(struct mif_region *region, uint64_t size, const char *name);

/**
 * Take over a file that the peer sent, and map it.
 *
 * Only a file in memory is taken (tmpfs, memfd, hugetlbfs): reading from any other could block, or
 * reach a device.
 *
 * @param fd           owned by the region from here on; closed once it is mapped or refused, or kept
 *                     for other processes
 * @param size         bytes that the peer says it has
 * @param sealed_only  refuse what the peer could still shrink or punch holes into
 * @param why          gets the reason of a refusal (a string constant)
 * @return 0, or a negative errno; then *region is MIF_REGION_NONE
 */
int mif_region_adopt(struct mif_region *region, int fd, uint64_t size, bool sealed_only,
		const char **why);

/**
 * Map a region of another process at its address. For a region with addr, size, page_size and sealed
 * of that process and a file of this one, which is closed in any case.
 *
 * @return 0; -EEXIST when something else is at that address; another negative errno. Then *region is
 *         MIF_REGION_NONE
 */
int mif_region_follow(struct mif_region *region);

/** Close its file, the mapping stays. Harmless without a file. */
void mif_region_close(struct mif_region *region);

/** Unmap and close. Harmless on MIF_REGION_NONE. */
void mif_region_release(struct mif_region *region);

#endif /* MEMIF_REGION_H */

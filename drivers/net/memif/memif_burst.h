/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The burst functions, built once for each width of vector instructions from the same source, and
 * chosen at run time.
 */

#ifndef MEMIF_BURST_H
#define MEMIF_BURST_H

#include <stdbool.h>
#include <rte_ethdev.h>

#include "memif_abi.h"
#include "memif_devargs.h"

/** What a burst function is for: a constant in each, so none of it is tested for a packet. */
struct mif_burst_kind {
	enum mif_role role;
	enum mif_mode mode;
	bool secondary; /**< called in a secondary process */
};

/** Bursts of one direction, by mode (ethernet or ip) and role; their queue is a struct mif_queue. */
struct mif_rx_bursts {
	eth_rx_burst_t burst[2][2];
	eth_rx_burst_t lending[2][2]; /**< of a server with zero-copy: by mode, and if secondary */
	eth_rx_burst_t secondary[2][2]; /**< of a secondary process */
};

/** The same for transmit. */
struct mif_tx_bursts {
	eth_tx_burst_t burst[2][2];
	eth_tx_burst_t secondary[2][2];
};

/* The build gives the variant that it compiles memif_*rx.c and memif_*tx.c for. */
#define MIF_BURST_NAME_OF(direction, variant) mif_##direction##_bursts_##variant
#define MIF_BURST_NAME(direction, variant) MIF_BURST_NAME_OF(direction, variant)

/* The same for ports that do not copy. */
extern const struct mif_rx_bursts mif_zc_rx_bursts_plain;
extern const struct mif_tx_bursts mif_zc_tx_bursts_plain;
extern const struct mif_rx_bursts mif_zc_rx_bursts_avx2;
extern const struct mif_tx_bursts mif_zc_tx_bursts_avx2;
extern const struct mif_rx_bursts mif_zc_rx_bursts_avx512;
extern const struct mif_tx_bursts mif_zc_tx_bursts_avx512;

extern const struct mif_rx_bursts mif_rx_bursts_plain;
extern const struct mif_tx_bursts mif_tx_bursts_plain;
extern const struct mif_rx_bursts mif_rx_bursts_avx2;
extern const struct mif_tx_bursts mif_tx_bursts_avx2;
extern const struct mif_rx_bursts mif_rx_bursts_avx512;
extern const struct mif_tx_bursts mif_tx_bursts_avx512;

/**
 * Set the burst functions of a port: for its options and this process, and the best that the CPU
 * and EAL allow.
 */
void mif_burst_choose(struct rte_eth_dev *dev, const struct mif_devargs *args);

/** Name of the variant in use, for logs. */
const char *mif_burst_name(void);

#endif /* MEMIF_BURST_H */

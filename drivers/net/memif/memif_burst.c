/* SPDX-License-Identifier: BSD-3-Clause */

#include <ethdev_driver.h>
#include <rte_common.h>
#include <rte_cpuflags.h>
#include <rte_eal.h>
#include <rte_vect.h>

#include "memif_burst.h"
#include "memif_offload.h"
#include "memif_tx.h"

__thread const void *mif_tx_thread;

/* One build of the bursts. */
struct variant {
	const char *name;
	const struct mif_rx_bursts *rx;
	const struct mif_tx_bursts *tx;
	const struct mif_rx_bursts *zc_rx;
	const struct mif_tx_bursts *zc_tx;
};

static const struct variant plain = {
	.name = "plain",
	.rx = &mif_rx_bursts_plain,
	.tx = &mif_tx_bursts_plain,
	.zc_rx = &mif_zc_rx_bursts_plain,
	.zc_tx = &mif_zc_tx_bursts_plain,
};

#ifdef RTE_ARCH_X86_64

static const struct variant avx2 = {
	.name = "AVX2",
	.rx = &mif_rx_bursts_avx2,
	.tx = &mif_tx_bursts_avx2,
	.zc_rx = &mif_zc_rx_bursts_avx2,
	.zc_tx = &mif_zc_tx_bursts_avx2,
};

static const struct variant avx512 = {
	.name = "AVX-512",
	.rx = &mif_rx_bursts_avx512,
	.tx = &mif_tx_bursts_avx512,
	.zc_rx = &mif_zc_rx_bursts_avx512,
	.zc_tx = &mif_zc_tx_bursts_avx512,
};

static bool
has_avx512(void)
{
	return rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX512F) > 0 &&
			rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX512BW) > 0 &&
			rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX512VL) > 0;
}

static const struct variant *
best(void)
{
	uint16_t width = rte_vect_get_max_simd_bitwidth();

	if (width >= RTE_VECT_SIMD_512 && has_avx512())
		return &avx512;
	if (width >= RTE_VECT_SIMD_256 && rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX2) > 0)
		return &avx2;
	return &plain;
}

#else

static const struct variant *
best(void)
{
	return &plain;
}

#endif

void
mif_burst_choose(struct rte_eth_dev *dev, const struct mif_devargs *args)
{
	const struct variant *variant = best();
	bool zero_copy = args->zero_copy && args->role == MIF_CLIENT;
	bool lends = args->zero_copy && args->role == MIF_SERVER;
	const struct mif_rx_bursts *rx = zero_copy ? variant->zc_rx : variant->rx;
	const struct mif_tx_bursts *tx = zero_copy ? variant->zc_tx : variant->tx;
	const bool secondary = rte_eal_process_type() != RTE_PROC_PRIMARY;

	dev->rx_pkt_burst = secondary ? rx->secondary[args->mode][args->role] :
					rx->burst[args->mode][args->role];
	if (lends)
		dev->rx_pkt_burst = rx->lending[args->mode][secondary];
	dev->tx_pkt_burst = secondary ? tx->secondary[args->mode][args->role] :
					tx->burst[args->mode][args->role];
	mif_offload_wrap(dev);
}

const char *
mif_burst_name(void)
{
	return best()->name;
}

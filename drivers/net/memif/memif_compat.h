/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The differences between the DPDK releases that this driver builds against, 22.11 to 26.07.
 */

#ifndef MEMIF_COMPAT_H
#define MEMIF_COMPAT_H

#include <pthread.h>
#include <ethdev_driver.h>
#include <rte_lcore.h>
#include <rte_telemetry.h>
#include <rte_thread.h>
#include <rte_version.h>

#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)

typedef rte_thread_t mif_thread;
typedef uint32_t mif_thread_ret;
#define MIF_THREAD_RET 0

#else

typedef pthread_t mif_thread;
typedef void *mif_thread_ret;
#define MIF_THREAD_RET NULL

#endif

/** Start a thread that runs on the control cores, not on the ones that poll. */
static inline int
mif_thread_create(mif_thread *thread, const char *name, mif_thread_ret (*main)(void *), void *arg)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
	return rte_thread_create_internal_control(thread, name, main, arg);
#else
	return rte_ctrl_thread_create(thread, name, NULL, main, arg);
#endif
}

static inline void
mif_thread_join(mif_thread thread)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
	rte_thread_join(thread, NULL);
#else
	pthread_join(thread, NULL);
#endif
}

static inline void
mif_thread_detach(mif_thread thread)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
	rte_thread_detach(thread);
#else
	pthread_detach(thread);
#endif
}

#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
#define mif_tel_add_uint rte_tel_data_add_dict_uint
#else
#define mif_tel_add_uint rte_tel_data_add_dict_u64
#endif

/** @name What some ethdev operations return, or get
 * @{
 */
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
typedef int mif_queue_count;
typedef struct eth_queue_stats mif_queue_stats;
#else
typedef uint32_t mif_queue_count;
typedef struct rte_eth_stats mif_queue_stats; /**< counters of queues among those of the port */
#endif
/** @} */

#endif /* MEMIF_COMPAT_H */

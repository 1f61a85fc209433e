/* SPDX-License-Identifier: BSD-3-Clause */

/** @file The driver's log: one line per event, with the port's name in front. */

#ifndef MEMIF_LOG_H
#define MEMIF_LOG_H

#include <rte_log.h>

extern int mif_logtype;

/**
 * @param level  ERR, WARNING, NOTICE (shown by default), INFO or DEBUG
 * @param who    name of the port, or of the driver
 */
#define MIF_LOG(level, who, format, ...) \
	rte_log(RTE_LOG_##level, mif_logtype, "%s: " format "\n", who, ##__VA_ARGS__)

#endif /* MEMIF_LOG_H */

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRAFFIC_REPORT_H
#define TRAFFIC_REPORT_H

/*
 * The result: one JSON object in one line on stdout, the last one of the program.
 */

#include "loop.h"
#include "mbufs.h"
#include "port.h"

struct report {
	const struct options *opt;
	const struct port *port;
	const struct mbuf_maker *maker;
	const struct traffic *traffic;
	const struct port_snapshot *before_stop;
	const struct port_snapshot *after_stop;
	uint32_t mbufs_before; /**< in use before the port was configured */
	uint32_t mbufs_after;  /**< in use after it was closed */
	uint32_t unreleased;   /**< sent packets whose reference the driver still holds */
	bool port_failed;      /**< some ethdev call failed */
};

/**
 * Prints the result.
 *
 * @return how many things were wrong
 */
unsigned int report_print(const struct report *rep);

#endif

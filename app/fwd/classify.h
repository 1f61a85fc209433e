/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Which frames of the network go to the memif ports, and which flow a frame belongs to. No DPDK.
 */

#ifndef FWD_CLASSIFY_H
#define FWD_CLASSIFY_H

#include <stdbool.h>
#include <stdint.h>

/** What is selected. */
struct filter {
	uint64_t protocols[256 / 64];	/**< a bit per IP protocol */
	uint64_t ports[(1 << 16) / 64]; /**< a bit per destination port, of protocols with ports */
	bool any_port;			/**< ports does not count */
};

static inline void
filter_add_protocol(struct filter *filter, uint8_t protocol)
{
	filter->protocols[protocol / 64] |= UINT64_C(1) << (protocol % 64);
}

static inline void
filter_add_port(struct filter *filter, uint16_t port)
{
	filter->ports[port / 64] |= UINT64_C(1) << (port % 64);
}

/**
 * Whether a frame is selected: IPv4 or IPv6, untagged or behind up to two VLAN tags, of a selected
 * protocol and, where that has ports, to a selected port.
 *
 * Fragments: those behind the first have no ports. With a list of ports no fragment is selected;
 * without one they all are, and the hash is of addresses and protocol alone. So all fragments
 * of a packet have one way in either case.
 *
 * @param length  bytes that can be read; headers that go on behind them are not selected
 * @param hash  of the flow, when it is selected: the same in both of its directions
 */
bool classify(const struct filter *filter, const uint8_t *frame, uint32_t length, uint32_t *hash);

#endif /* FWD_CLASSIFY_H */

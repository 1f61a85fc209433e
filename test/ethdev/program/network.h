/* SPDX-License-Identifier: BSD-3-Clause */

/** @file Packets with real headers, for the offloads: made, put into mbufs of any kind, verified. */

#ifndef NETWORK_H
#define NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#define FLAT_MAX 66000

/** What a packet is like. */
struct shape {
	bool ip6;
	bool udp;
	uint8_t l2_bytes;  /**< 14, or more: VLAN tags */
	uint8_t options;   /**< bytes of IPv4 options, or of an IPv6 extension header */
	uint32_t payload;  /**< bytes behind the TCP or UDP header */
	uint32_t trailing; /**< bytes behind the IP packet */
	uint32_t number;   /**< goes into payload, sequence number and IP id */
};

/** A packet as bytes, and where its headers are. */
struct flat {
	uint8_t data[FLAT_MAX];
	uint32_t length;
	uint16_t l3, l4, l4_bytes, payload;
};

/** Make the bytes; the checksum fields have rubbish. */
void flat_make(struct flat *flat, const struct shape *shape);

/** Is it what was made of this shape, but for right checksums, which it has? Prints what is not. */
bool flat_is_right(const struct flat *flat, const struct shape *shape);

/** Are IP and TCP or UDP checksum right? By a sum that is written from the RFCs. */
bool flat_checksums_ok(const struct flat *flat);

/** Read headers: sets all but data and length. False when it is not IP with TCP or UDP. */
bool flat_parse(struct flat *flat);

/** The bytes of a packet. */
void flat_from_mbuf(struct flat *flat, const struct rte_mbuf *mbuf);

/** How the bytes lie in mbufs. */
enum layout {
	LAYOUT_PLAIN,
	LAYOUT_PIECES,	    /**< many small segments */
	LAYOUT_NO_HEADROOM, /**< the data begins where the buffer does */
	LAYOUT_SHARED,	    /**< somebody else holds it too */
	LAYOUT_INDIRECT,    /**< of another mbuf's buffer */
	LAYOUT_EXTERNAL,    /**< of a buffer outside any pool */
	LAYOUTS,
};

/** Put the bytes into mbufs, and set the length fields. NULL when there is no memory. */
struct rte_mbuf *flat_to_mbuf(const struct flat *flat, enum layout layout);

/** Checksum flags for a packet of this shape. */
uint64_t shape_flags(const struct shape *shape);

#endif /* NETWORK_H */

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRAFFIC_OPTIONS_H
#define TRAFFIC_OPTIONS_H

/*
 * Command line of mif-traffic, the part after the EAL's "--".
 */

#include <stdbool.h>
#include <stdint.h>

#define MAX_QUEUES 255
#define MAX_BURST 1024
#define MAX_SEGS 64
#define MAX_LIST 32

enum traffic_mode {
	MODE_SEND,
	MODE_RECEIVE,
	MODE_ECHO,
	MODE_BOTH,
};

/** How the mbuf segments of a packet are made. */
enum seg_kind {
	SEG_PLAIN,    /**< direct mbufs of one pool */
	SEG_EXTERNAL, /**< data in an attached external buffer */
	SEG_INDIRECT, /**< clone of a direct mbuf of another pool */
	SEG_REFCNT,   /**< direct, and the program keeps a second reference */
	SEG_EMPTY,    /**< one additional segment of data_len 0, at changing places */
	SEG_POOLS,    /**< direct, every segment from the next of several pools */
	SEG_MIXED,    /**< each packet of the next of the kinds above */
};

/** A list of sizes or size ranges, packet n takes its n-th value, round and round. */
struct size_list {
	unsigned int n;
	struct {
		uint32_t low;
		uint32_t high;
	} item[MAX_LIST];
};

struct options {
	enum traffic_mode mode;
	uint16_t rxq;
	uint16_t txq;
	uint16_t poll_rxq;	/**< rx queues that are polled, 0: all */
	uint64_t count;		/**< packets per tx queue */
	struct size_list sizes; /**< packet lengths, Ethernet header included */
	uint16_t segs;
	uint16_t first_seg; /**< bytes of the first segment of several, 0: as the others */
	enum seg_kind seg_kind;
	struct size_list bursts;    /**< tx burst sizes, used in turn */
	struct size_list rx_bursts; /**< rx burst sizes, used in turn */
	uint32_t dataroom;	    /**< of an rx mbuf, without headroom */
	uint32_t pool_size;	    /**< mbufs in the rx pool, 0: enough */
	uint32_t hold;		    /**< received mbufs kept back before they are freed */
	uint16_t nb_desc;
	bool rx_scatter;
	bool retry;	 /**< offer refused packets again (else free them, build them anew) */
	bool ip;	 /**< packets pass as IPv4 and IPv6 */
	bool allow_loss; /**< gaps and missing packets are no error */
	bool wait_stdin; /**< stay up until a line on stdin, count, and stop at the next one */
	uint32_t mtu;	 /**< 0: the driver's default */
	uint32_t seed;
	uint32_t peer_seed; /**< 0: any seed may come in */
	uint64_t expect;    /**< packets that will come in, 0: unknown */
	uint32_t timeout_s;
	uint32_t idle_end_ms;
	uint32_t settle_ms; /**< after the expected number: how long to look for surplus packets */
	uint32_t linger_ms;
	uint32_t wait_link_s;
	uint32_t start_delay_ms; /**< between link up and the first packet */
	const char *port_name;	 /**< NULL: port 0 */
};

/** Whether this end sends packets of its own. */
bool options_sends(const struct options *opt);

/** Whether this end has to receive packets. */
bool options_receives(const struct options *opt);

const char *options_mode_name(enum traffic_mode mode);

/** Value number @p n of a list: its items in turn, ranges stepped through. */
uint32_t size_list_pick(const struct size_list *list, uint64_t n);

uint32_t size_list_max(const struct size_list *list);

/**
 * Parses what follows the EAL's "--".
 *
 * @return 0, or -1 after a message on stderr
 */
int options_parse(int argc, char **argv, struct options *opt);

#endif

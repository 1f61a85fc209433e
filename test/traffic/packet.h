/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRAFFIC_PACKET_H
#define TRAFFIC_PACKET_H

/*
 * The test packet: an Ethernet header, struct packet_header, and a payload that follows from
 * (seed, queue, seq) alone, so that a receiver can name the first byte that is wrong.
 *
 * One that passes as IP has the version of IP, 4 and 6 in turn, in the first bits behind the Ethernet
 * header, and in that header only the type counts: a link without an Ethernet header makes a new one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_MIN_LEN 46u /* Ethernet and packet header */
#define PACKET_MAX_LEN 65535u
#define PACKET_MAX_SEQ (UINT64_C(1) << 28)

/** What a packet says about itself, in host byte order. */
struct packet_info {
	uint32_t length; /**< of the whole packet */
	uint32_t seed;	 /**< names the sending process */
	uint16_t queue;	 /**< tx queue of the sender */
	uint64_t seq;	 /**< counts per sending queue, from 0 */
	bool ip;	 /**< passes as IP */
};

enum packet_verdict {
	PACKET_OK,
	PACKET_SHORT,  /**< no room for the headers */
	PACKET_MAGIC,  /**< not one of our packets */
	PACKET_LENGTH, /**< other length than the sender gave it */
	PACKET_HASH,   /**< some byte is wrong */
	PACKET_N_VERDICTS,
};

/** Writes the packet that @p info describes; @p buf has info->length bytes. */
void packet_write(uint8_t *buf, const struct packet_info *info);

/**
 * Checks the @p length bytes at @p buf. @p buf is clobbered (its hash field).
 *
 * @param info filled in as far as the headers can be read (all but PACKET_SHORT, PACKET_MAGIC)
 */
enum packet_verdict packet_check(uint8_t *buf, uint32_t length, struct packet_info *info);

/**
 * Describes in @p text what is wrong with a packet on which packet_check() gave @p verdict.
 */
void packet_explain(const uint8_t *buf, uint32_t length, const struct packet_info *info,
		enum packet_verdict verdict, char *text, size_t text_size);

const char *packet_verdict_name(enum packet_verdict verdict);

#endif

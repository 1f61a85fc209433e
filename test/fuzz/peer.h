/* SPDX-License-Identifier: BSD-3-Clause */

/** @file The hostile end of a connection: a socket, and files and memory of many kinds. */

#ifndef FUZZ_PEER_H
#define FUZZ_PEER_H

#include "fuzz.h"
#include "memif_abi.h"

#define PEER_REGIONS 8 /**< whose memory it keeps to write into */

/** Memory that it shares with the driver. */
struct peer_region {
	int fd;
	uint8_t *addr; /**< NULL when it cannot be mapped */
	uint64_t size;
};

/** One hostile peer. */
struct peer {
	int sock; /**< -1 when it is gone */
	uint16_t regions, rings[MIF_DIRS];
	uint64_t ring_end; /**< bytes of region 0 that its rings take */
	unsigned int kept;
	struct peer_region region[PEER_REGIONS];
};

/** Take over a connected socket. */
void peer_open(struct peer *peer, int sock);

/** Close it, and give up all memory. */
void peer_close(struct peer *peer);

/** Send a message that a client sends, mostly a good one; files and all. */
void peer_send_as_client(struct peer *peer, struct fuzz_input *in, uint32_t id);

/** The same for a server's. */
void peer_send_as_server(struct peer *peer, struct fuzz_input *in);

/** Send any bytes with any files. */
void peer_send_anything(struct peer *peer, struct fuzz_input *in);

/** Kinds of files that are memory; there are others. */
#define PEER_SEALED 0
#define PEER_UNSEALED 4
#define PEER_HUGE 15

/** Do what a good client, or server, does next; a client's region is a file of this kind. */
void peer_proceed_as_client(struct peer *peer, uint32_t id, uint8_t kind);
void peer_proceed_as_server(struct peer *peer);

/** Write into the shared memory: a descriptor, an index, any byte. */
void peer_scribble(struct peer *peer, struct fuzz_input *in);

/** Take shared memory away again: cut a file short, or punch a hole. */
void peer_pull_away(struct peer *peer, struct fuzz_input *in);

#endif /* FUZZ_PEER_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * What one connection holds for the data path: regions, ring ends, eventfds; made by the control
 * thread and freed (memif_link.c); put behind the gates of a port's queues, and given back when no
 * burst uses it any more (memif_attach.c). All functions need the control lock.
 */

#ifndef MEMIF_LINK_H
#define MEMIF_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <rte_ethdev.h>

#include "memif_abi.h"
#include "memif_conn.h"
#include "memif_mp.h"
#include "memif_port.h"
#include "memif_queue.h"
#include "memif_region.h"

struct mif_zc_memory;

/** Bytes of a peer's regions that one connection may map. */
#define MIF_LINK_REACH (UINT64_C(1) << 40)

/** One connection's memory: what bursts use of it is in shared and ends. */
struct mif_link {
	struct mif_shared *shared;
	struct mif_region regions[MIF_REGIONS_MAX];
	int event_fds[MIF_DIRS][MIF_RINGS_MAX];
	struct mif_ring_end *ends[MIF_DIRS];
	uint16_t end_count[MIF_DIRS];
	uint64_t mapped; /**< server: bytes of the regions so far */
	enum mif_role role;
	bool lends;		    /**< server: zero-copy */
	bool parted;		    /**< over, but mbufs point into it; see mif_lend_part() */
	uint32_t buffer_size;	    /**< client: bytes; 0 on a server, which cannot know */
	struct mif_queue **waiting; /**< closed gates where a burst may still be inside */
	uint32_t waiting_count;
	bool fenced;			 /**< the barrier after closing the gates has been passed */
	char name[RTE_ETH_NAME_MAX_LEN]; /**< of the port: it may go before the link */
	int sock;	   /**< of a connection that is over, see mif_link_part_socket() */
	uint64_t patience; /**< how long it waits for the peer, of mif_ctrl_now() */
	struct mif_zc_memory *memory; /**< client with zero-copy: what it exposes; else NULL */
	struct mif_port_counters *counters; /**< of the port, for what is lost; NULL without */
	struct mif_mp_entry mp;
	TAILQ_ENTRY(mif_link) next;
};

/**
 * An empty link.
 *
 * @param name    of the port, for the log; copied
 * @param queues  of the port, receive and transmit together
 * @param socket  NUMA node for what bursts use
 * @return the link, or NULL when there is no memory
 */
struct mif_link *mif_link_create(const char *name, uint32_t queues, int socket);

/** What a client builds. */
struct mif_link_cfg {
	uint8_t log2_ring_size;
	uint32_t buffer_size;		     /**< bytes of room in each buffer */
	uint16_t max_regions;		     /**< what the server takes */
	int socket;			     /**< NUMA node for ring ends and regions */
	const struct rte_eth_dev *zero_copy; /**< the port that does not copy, else NULL */
};

/**
 * Client: make regions, rings and eventfds.
 *
 * @param geometry  rings[] says how many; the rest is filled in
 * @return 0, or a negative errno; *why says what failed
 */
int mif_link_build(struct mif_link *link, struct mif_geometry *geometry,
		const struct mif_link_cfg *cfg, const char **why);

/**
 * Server: take over a region's file, owned by the link from here on.
 *
 * @return 0, or a negative errno; *why is the reason for the peer
 */
int mif_link_take_region(struct mif_link *link, uint16_t index, int fd, uint64_t size,
		bool sealed_only, const char **why);

/** Server: take over a ring's eventfd, owned by the link from here on. */
int mif_link_take_event(struct mif_link *link, enum mif_dir dir, uint16_t index, int fd,
		const char **why);

/**
 * Make the ring ends for all rings of the geometry.
 *
 * @param socket  NUMA node for them
 * @return 0; -EPROTO when a ring has no cookie; -ENOMEM; *why says which
 */
int mif_link_finish(struct mif_link *link, enum mif_role role, const struct mif_geometry *geometry,
		int socket, const char **why);

/** Put the ring ends behind the gates of the port's queues. */
void mif_link_attach(struct mif_link *link, const struct mif_devargs *args,
		struct rte_eth_dev *dev);

/**
 * The connection is over, and this end has said so if it is the one that ended it. What is left of the
 * socket says when this end has let go of the memory, and when the peer has:
 *
 * - a server closes it when the last burst has left the link;
 * - a client without copying gives mbufs back in which the server may still write only when the server
 *   has closed its end, or has not done so for a while.
 *
 * Before mif_link_detach().
 *
 * @param sock  owned by the link from here on
 */
void mif_link_part_socket(struct mif_link *link, int sock);

/** Put its rings behind the gates of a queue, unless it is stopped, missing or has none. */
void mif_link_open_rx(struct mif_link *link, struct mif_queue *queue);
void mif_link_open_tx(struct mif_link *link, struct mif_queue *queue);

/**
 * Close the gates of the port's queues, and give the link back; at once if no burst is inside.
 *
 * @param counters  get the packets that were under way; see mif_link_forget()
 */
void mif_link_detach(struct mif_link *link, struct rte_eth_dev *dev,
		struct mif_port_counters *counters);

/** Add up the packets that are under way, at the end of a connection; memif_lost.c. */
void mif_link_count_lost(const struct mif_link *link, struct mif_port_counters *counters);

/** These counters go away: links that still wait for a burst must not write to them. */
void mif_link_forget(const struct mif_port_counters *counters);

/**
 * Links with mbufs and these counters that still wait for a burst or for the peer, after another
 * look at them.
 */
unsigned int mif_link_lingering(const struct mif_port_counters *counters);

/**
 * A process is gone, and was perhaps killed while it held a ring's lock.
 *
 * @return whether it was
 */
bool mif_link_heal(struct mif_link *link, uint32_t process);

/** Close its socket, the files of its regions and eventfds; memory stays mapped. */
void mif_link_close_files(struct mif_link *link);

/** Give back a link that was never attached, or that no burst and no mbuf uses any more. */
void mif_link_free(struct mif_link *link);

/**
 * Give back detached links whose bursts have ended, and of whose memory the peer has let go.
 *
 * @return how many still wait
 */
unsigned int mif_link_reap(void);

#endif /* MEMIF_LINK_H */

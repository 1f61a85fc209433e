/* SPDX-License-Identifier: BSD-3-Clause */

/** @file The options of a port: what --vdev=net_memif0,... may say. */

#ifndef MEMIF_DEVARGS_H
#define MEMIF_DEVARGS_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_ether.h>

#include "memif_abi.h"
#include "memif_sock.h"

/** For dpdk-pmdinfo.py and the guide: every option with its values. */
#define MIF_DEVARGS_HELP \
	"id=<uint32> role=client|server socket=<path|@name> socket-abstract=yes|no " \
	"owner-uid=<uid> owner-gid=<gid> socket-mode=<octal> peer-uid=<uid[:uid...]> " \
	"peer-gid=<gid[:gid...]> bsize=<1-65535> rsize=<1-14> rx-lag=<0-4096> tx-copybreak=<0-65535> " \
	"mac=<xx:xx:xx:xx:xx:xx> secret=<1-24 bytes> zero-copy=yes|no peer-memory=any|sealed mode=ethernet|ip"

/** Of rx-lag; no more than a quarter of a ring is ever left. */
#define MIF_RX_LAG_MAX 4096

#define MIF_ALLOWED_MAX 16 /**< ids of one kind */

/** User or group ids. */
struct mif_allowed {
	unsigned int count;
	uint32_t ids[MIF_ALLOWED_MAX];
};

/** Options of one port, checked. */
struct mif_devargs {
	uint32_t id;
	enum mif_role role;
	enum mif_mode mode; /**< ethernet or ip */
	struct mif_sockaddr addr;
	struct mif_sock_access access; /**< of the socket file; server */
	uint16_t buffer_size;	       /**< bytes; client */
	uint8_t log2_ring_size;	       /**< client */
	uint16_t rx_lag;       /**< slots that a receive burst leaves to a sender that streams */
	uint16_t tx_copybreak; /**< bytes up to which packets are copied; client with zero-copy */
	struct rte_ether_addr mac; /**< random when not given */
	uint8_t secret[MIF_SECRET_LEN];
	bool zero_copy;			 /**< client: mbufs are shared; server: lent slots go up */
	bool sealed_only;		 /**< peer-memory=sealed; server */
	struct mif_allowed allowed_uids; /**< peer-uid; server */
	struct mif_allowed allowed_gids; /**< peer-gid; server */
};

/**
 * May a process with these ids be a client?
 *
 * With neither list, everybody may who can open the socket; else one that is in either.
 */
bool mif_devargs_allow(const struct mif_devargs *args, uid_t uid, gid_t gid);

/**
 * Parse and check the options.
 *
 * @param who   name of the port, for the log
 * @param text  "name=value,..."; NULL or empty for the defaults
 * @return 0, or -EINVAL / -ENOTSUP after a log line that names the option and says what it takes
 */
int mif_devargs_parse(struct mif_devargs *args, const char *who, const char *text);

#endif /* MEMIF_DEVARGS_H */

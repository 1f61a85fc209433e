/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * What the command line says, read and checked. No DPDK.
 */

#ifndef FWD_CONFIG_H
#define FWD_CONFIG_H

#include <net/if.h>
#include <netinet/in.h>

#include "classify.h"
#include "options.h"
#include "steer.h"

/* Longest path of a socket, with its end. */
#define CONFIG_PATH 108

enum kernel_driver {
	KERNEL_AUTO, /**< virtio where there is /dev/vhost-net, else tap */
	KERNEL_VIRTIO,
	KERNEL_TAP,
	KERNEL_NONE, /**< no exception path: what is not selected is dropped */
};

struct config {
	const char *net; /**< name of the network's ethdev; NULL: the only one there is */
	uint64_t memifs;
	bool server;
	char socket[STEER_PORTS][CONFIG_PATH];
	unsigned int sockets;
	const char *memif_args;
	uint64_t rsize, bsize;
	enum kernel_driver kernel;
	const char *kernel_name;
	bool has_address;
	struct in_addr address, mask;
	struct filter filter;
	uint64_t queues;       /**< pairs of queues of the network's port; 0: one per worker */
	uint64_t memif_queues; /**< of each memif port */
	uint64_t descriptors, mbufs;
	uint64_t flush_us, sleep_us;
	double interval; /**< between two tables, seconds; 0: none */
};

/** The options, for options_print(). */
extern const struct option_spec config_options[];

/**
 * Read the command line; argv[0] is not looked at. Once per process.
 *
 * @return 0; 1 when help was asked for; -EINVAL after a message on stderr
 */
int config_parse(struct config *config, int argc, char **argv);

/** Selects what a list names, as "udp,tcp,47". @return 0 or -EINVAL */
int config_protocols(struct filter *filter, const char *list);

/** Selects what a list names, as "53,5000-6000", or "all". @return 0 or -EINVAL */
int config_ports(struct filter *filter, const char *list);

/** Reads one path or several, as "/run/a.sock,@b". @return 0 or -EINVAL */
int config_sockets(struct config *config, const char *list);

/** Reads "10.0.0.1/24" or "10.0.0.1/255.255.255.0". @return 0 or -EINVAL */
int config_address(const char *text, struct in_addr *address, struct in_addr *mask);

#endif /* FWD_CONFIG_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Real ports of the whole driver, but for its control thread (turns.h), and an honest pair beside
 * them that must not notice anything.
 */

#ifndef FUZZ_PORTS_H
#define FUZZ_PORTS_H

#include <sys/un.h>
#include <ethdev_driver.h>

#include "fuzz.h"
#include "memif_port.h"

#define PORT_QUEUES 2 /* of each kind */

/** The ports that a hostile peer meets: servers on one socket, and a client. */
enum {
	PORT_SERVER, /**< id 0 */
	PORT_SECRET, /**< id 1, with a secret */
	PORT_SEALED, /**< id 2, peer-memory=sealed */
	PORT_OTHERS, /**< id 3, for another user */
	PORT_CLIENT,
	PORTS,
};

#define PORT_SECRET_TEXT "a secret"

/** Once: EAL, ports, the honest pair. */
void ports_init(void);

/** Where the servers listen, and where the client looks for its server. */
struct sockaddr_un ports_server_address(socklen_t *length);
struct sockaddr_un ports_client_address(socklen_t *length);

struct mif_port *ports_get(unsigned int port);

/** Receive and transmit on all queues of a port. */
void ports_burst(unsigned int port, struct fuzz_input *in);

/** What an application may do to a port at any time. */
void ports_operate(unsigned int port, uint8_t choice);

/** After each turn: what a connection has is sound. */
void ports_check(void);

/** All is as it was before the peer came: no connection, fd, mapping or mbuf is left. */
void ports_check_clean(void);

#endif /* FUZZ_PORTS_H */

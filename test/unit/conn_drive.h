/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Brings a connection into any of its states by events alone, and says what it answered.
 */

#ifndef CONN_DRIVE_H
#define CONN_DRIVE_H

#include "memif_conn.h"
#include "unit.h"

/** A list of actions with a fence behind it. */
struct drive {
	struct mif_conn conn;
	struct mif_actions actions;
	uint8_t fence[64];
};

#define DRIVE_LOG2 4		 /**< ring size of all rings here */
#define DRIVE_REGION_SIZE 0x2000 /**< bytes of every region here */

/** One client ring of each direction, mode ethernet, id 7, no secret. */
extern const struct mif_conn_cfg drive_client_cfg;

/** The same port's other end. */
extern const struct mif_conn_cfg drive_server_cfg;

/** As many as the protocol has. */
extern const struct mif_limits drive_limits;

/** HELLO with version 2.0 and no limits but the protocol's. */
struct mif_msg drive_hello(void);

/** Client: start, then on to that state; with 2 regions and cfg's rings. */
void drive_client(struct drive *drive, const struct mif_conn_cfg *cfg, enum mif_state to);

/** Client in BUILD: fills in regions of DRIVE_REGION_SIZE and rings one behind the other. */
void drive_build(struct drive *drive, uint16_t regions);

/** Server: start, then on to that state; SETUP and later have 2 regions, UP has a ring. */
void drive_server(struct drive *drive, enum mif_state to);

/** Server: the region with the next index. */
void drive_add_region(struct drive *drive, uint64_t size);

/** A connection got this message; the fence must hold. */
void drive_message(struct drive *drive, const struct mif_msg *msg, unsigned int fds);

/** Any of the other events is over: the fence must hold. */
void drive_check_fence(const struct drive *drive);

/** What a message of that type looks like that is right for the states of drive_*(). */
struct mif_msg drive_good_message(uint16_t type);

/** The answer was DISCONNECT with a reason and CLOSE. */
void drive_assert_failed(const struct drive *drive);

/** The same, with this reason. */
void drive_assert_failed_for(const struct drive *drive, const char *reason);

/** The answer was these actions; for one action, second is -1. */
void drive_assert_actions(const struct drive *drive, int first, int second);

/** Action number i sends a message of this type. */
void drive_assert_sends(const struct drive *drive, unsigned int i, uint16_t type);

#endif /* CONN_DRIVE_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/** @file Mbufs that an application has got from its pool, and nobody else may write to. */

#ifndef LIFECYCLE_PAINT_H
#define LIFECYCLE_PAINT_H

struct rte_mempool;

/** Get all mbufs that are free, and fill them; returns how many. */
unsigned int paint_take(struct rte_mempool *pool);

/** Free them; returns how many somebody has written to. */
unsigned int paint_free(void);

#endif /* LIFECYCLE_PAINT_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The table of rates on stdout, and the commands of telemetry.
 */

#ifndef FWD_REPORT_H
#define FWD_REPORT_H

#include "fwd.h"

/** Prints the rates since the last call; the first call prints nothing. */
void report_table(const struct fwd *fwd);

/** Prints what was counted in all. */
void report_totals(const struct fwd *fwd);

/**
 * Offers /fwd/ports and /fwd/flows; @p fwd stays until EAL is cleaned up.
 *
 * @return 0 or negative errno, after a message on stderr
 */
int report_telemetry(const struct fwd *fwd);

#endif /* FWD_REPORT_H */

/* SPDX-License-Identifier: BSD-3-Clause */

#include "memif_log.h"

RTE_LOG_REGISTER(mif_logtype, pmd.net.memif, NOTICE);

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memif_gate.h"

/* A property of the process, not of a port: whether the kernel took the registration. */
static atomic_bool registered;

static int
membarrier(int command)
{
	return syscall(__NR_membarrier, command, 0, 0) == 0 ? 0 : -errno;
}

int
mif_gate_setup(void)
{
	int ret = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);

	atomic_store(&registered, ret == 0);
	return ret;
}

bool
mif_gate_needs_fence(void)
{
	return !atomic_load(&registered);
}

void
mif_gate_init(struct mif_gate *gate)
{
	atomic_init(&gate->behind, NULL);
	atomic_init(&gate->busy, 0);
	gate->fence = mif_gate_needs_fence();
}

int
mif_gate_barrier(void)
{
	/* The fence pairs with the one that a burst pays for where membarrier is missing. */
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load(&registered) ? membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) : 0;
}

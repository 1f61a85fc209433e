/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memif_gate.h"

/* Properties of the process, not of a port: whether the kernel took the registration, and whether
 * there are other processes for the barrier. */
static atomic_bool registered;
static atomic_bool shared;

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

int
mif_gate_share(void)
{
	int ret = membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED);

	if (ret == 0)
		atomic_store(&shared, true);
	return ret;
}

int
mif_gate_join(void)
{
	return membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
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
	int ret = 0;

	/* The fence pairs with the one that a burst pays for where membarrier is missing. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&registered))
		ret = membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	if (ret == 0 && atomic_load(&shared))
		ret = membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
	return ret;
}

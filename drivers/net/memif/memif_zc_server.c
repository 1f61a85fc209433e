/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>
#include <ethdev_driver.h>
#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_spinlock.h>

#include "memif_gate.h"
#include "memif_link.h"
#include "memif_log.h"
#include "memif_zc_server.h"

/*
 * All struct mif_loans that this process has needed at a time; those without an owner are free.
 * They are in memory that secondaries see, whose bursts give slots back too. The lock guards the
 * owners, too, as the last mbuf of a connection may be freed on any thread. It is held for a few
 * looks at memory, and only while a connection comes or goes.
 */
static struct mif_loans *all;
static rte_spinlock_t lock = RTE_SPINLOCK_INITIALIZER;

void
mif_lend_setup_queue(struct mif_queue *queue, enum mif_mode mode, const char *who)
{
	queue->lend_from = MIF_LEND_NOTHING;
	if ((rte_pktmbuf_priv_flags(queue->pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF) != 0) {
		MIF_LOG(WARNING, who,
				"receive queue %u copies: mbufs of pool %s have buffers of their own "
				"(pinned)",
				queue->id, queue->pool->name);
		return;
	}
	if (mode == MIF_MODE_IP && !queue->scatter) {
		MIF_LOG(WARNING, who,
				"receive queue %u copies: in ip mode zero-copy=yes needs receive scatter",
				queue->id);
		return;
	}
	queue->lend_from = MIF_LEND_FROM;
	/* A packet is taken whether it is lent or copied, or it is not. */
	queue->lend_most = queue->scatter ? UINT16_MAX : RTE_MIN(queue->room, UINT16_MAX + 0u);
	/* Without IO addresses of the peer's memory, a device must not be given any. */
	queue->no_iova = rte_eal_iova_mode() == RTE_IOVA_VA ? 0 : RTE_BAD_IOVA;
}

/* Is everything back that a link has lent? Its gates are shut. Lock held. */
static bool
all_over(const struct mif_link *link)
{
	struct mif_loans *loans;
	bool over = true;

	for (uint16_t i = 0; i < link->end_count[MIF_C2S] && over; i++) {
		loans = link->ends[MIF_C2S][i].loans;
		over = loans == NULL || mif_loans_all_over(loans);
	}
	return over;
}

/* A connection is over; whoever frees its last mbuf frees it. */
static void
end_link_of(struct mif_loans *loans)
{
	struct mif_link *link;

	rte_spinlock_lock(&lock);
	link = loans->owner;
	if (link != NULL && link->parted && all_over(link))
		link->parted = false;
	else
		link = NULL;
	rte_spinlock_unlock(&lock);
	if (link != NULL)
		mif_link_free(link);
}

/*
 * An mbuf is freed whose slot others wait for: a sleeping receiver's client, or the connection's
 * end.
 */
static __rte_noinline void
attend(struct mif_loans *loans)
{
	unsigned int attention = mif_loans_enter(loans);

	if ((attention & (MIF_LOANS_ASLEEP | MIF_LOANS_ENDED)) == MIF_LOANS_ASLEEP)
		mif_loans_give_back(loans);
	mif_loans_leave(loans);
	if ((attention & MIF_LOANS_ENDED) != 0)
		end_link_of(loans);
}

/* What DPDK calls for the last mbuf that points to a slot; on any thread. */
static void
on_free(void *addr, void *opaque)
{
	struct mif_loans *loans;
	unsigned int attention;

	RTE_SET_USED(addr);
	loans = mif_loan_end(opaque, &attention);
	if (unlikely(attention != 0))
		attend(loans);
}

static struct mif_loans *
take_unused(struct mif_link *link)
{
	struct mif_loans *loans;

	rte_spinlock_lock(&lock);
	for (loans = all; loans != NULL && loans->owner != NULL; loans = loans->next)
		;
	if (loans != NULL)
		loans->owner = link;
	rte_spinlock_unlock(&lock);
	return loans;
}

static struct mif_loans *
take_new(struct mif_link *link)
{
	struct mif_loans *loans = rte_zmalloc("memif loans of a ring", sizeof(*loans),
			RTE_CACHE_LINE_SIZE);

	if (loans == NULL)
		return NULL;
	loans->owner = link;
	rte_spinlock_lock(&lock);
	loans->next = all;
	all = loans;
	rte_spinlock_unlock(&lock);
	return loans;
}

int
mif_lend_equip(struct mif_ring_end *end, struct mif_link *link, int socket)
{
	struct mif_loan *slots = rte_zmalloc_socket("memif loans",
			end->size * (sizeof(*slots) + sizeof(uint32_t)), RTE_CACHE_LINE_SIZE,
			socket);
	struct rte_mbuf_ext_shared_info *info;
	struct mif_loans *loans;

	if (slots == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < end->size; i++) {
		info = mif_lend_info(&slots[i]);
		info->free_cb = on_free;
		info->fcb_opaque = &slots[i];
	}
	loans = take_unused(link);
	if (loans == NULL)
		loans = take_new(link);
	if (loans == NULL) {
		rte_free(slots);
		return -ENOMEM;
	}
	loans->since = (uint32_t *)(void *)&slots[end->size];
	mif_loans_init(loans, slots, end->size, end->own_index, mif_gate_needs_fence());
	end->loans = loans;
	return 0;
}

void
mif_lend_release(struct mif_ring_end *end)
{
	struct mif_loans *loans = end->loans;

	if (loans == NULL)
		return;
	end->loans = NULL;
	/* A thread that is late with its last mbuf must not take it for a ring in use. */
	mif_loans_end(loans);
	rte_free(loans->slots);
	rte_spinlock_lock(&lock);
	loans->owner = NULL;
	rte_spinlock_unlock(&lock);
}

void
mif_lend_end(struct mif_link *link)
{
	for (uint16_t i = 0; i < link->end_count[MIF_C2S]; i++) {
		if (link->ends[MIF_C2S][i].loans != NULL)
			mif_loans_end(link->ends[MIF_C2S][i].loans);
	}
}

bool
mif_lend_idle(struct mif_link *link)
{
	bool idle = true;

	for (uint16_t i = 0; i < link->end_count[MIF_C2S] && idle; i++)
		idle = link->ends[MIF_C2S][i].loans == NULL ||
				mif_loans_idle(link->ends[MIF_C2S][i].loans);
	return idle;
}

bool
mif_lend_part(struct mif_link *link)
{
	bool over;

	rte_spinlock_lock(&lock);
	over = all_over(link);
	link->parted = !over;
	rte_spinlock_unlock(&lock);
	return over;
}

void
mif_lend_attach(struct mif_ring_end *ends, const struct mif_queue *queue)
{
	bool locked = queue->wait.epoll >= 0;

	for (struct mif_ring_end *end = ends; end != NULL; end = end->next) {
		if (end->loans != NULL && end->loans->locked != locked)
			end->loans->locked = locked;
	}
}

bool
mif_lend_sleep(struct mif_ring_end *ends)
{
	struct mif_ring_end *end;
	bool lends = false;

	for (end = ends; end != NULL; end = end->next) {
		if (end->loans == NULL)
			continue;
		mif_loans_sleep(end->loans);
		lends = true;
	}
	if (!lends)
		return true;
	if (mif_gate_barrier() != 0)
		return false;
	for (end = ends; end != NULL; end = end->next) {
		if (end->loans != NULL)
			mif_loans_give_back(end->loans);
	}
	return true;
}

void
mif_lend_wake(struct mif_ring_end *ends)
{
	for (struct mif_ring_end *end = ends; end != NULL; end = end->next) {
		if (end->loans != NULL)
			mif_loans_wake(end->loans);
	}
}

uint32_t
mif_lend_count(const struct mif_ring_end *end)
{
	const struct mif_loans *loans = end->loans;
	uint32_t count = 0;

	for (uint32_t i = 0; loans != NULL && i < end->size; i++)
		count += !mif_loan_over(&loans->slots[i]);
	return count;
}

uint64_t
mif_lend_oldest_ms(const struct mif_ring_end *end)
{
	const struct mif_loans *loans = end->loans;
	uint32_t now = mif_lend_stamp();
	int32_t age = 0, of_slot;

	for (uint32_t i = 0; loans != NULL && i < end->size; i++) {
		if (mif_loan_over(&loans->slots[i]))
			continue;
		of_slot = (int32_t)(now - __atomic_load_n(&loans->since[i], __ATOMIC_RELAXED));
		age = RTE_MAX(age, of_slot);
	}
	return ((uint64_t)age << 20) * 1000 / rte_get_tsc_hz();
}

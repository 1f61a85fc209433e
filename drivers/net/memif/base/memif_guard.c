/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memif_guard.h"

/* Signals belong to a process, and a handler has no argument of ours: hence process-wide state. An
 * entry is valid while its start is not 0. */
struct entry {
	atomic_uintptr_t start;
	struct mif_guard guard;
};

static struct entry entries[MIF_GUARDS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of who changes them */
static unsigned int used;
static atomic_uint reached;	  /* entries from here on have never been used */
static struct sigaction previous; /* what ours was put over last */
static struct sigaction first;	  /* what it was put over when it was in nobody's chain yet */
static bool installed;
static atomic_uint inside; /* threads that replace a page now */

/*
 * The signal that the previous handler was given last, and from where. If that one calls ours, it
 * must not be called again; but it may as well have left by siglongjmp(), and never come back.
 */
static __thread const void *passed_context;
static __thread uintptr_t passed_frame;

static const struct entry *
find(uintptr_t addr)
{
	unsigned int end = atomic_load_explicit(&reached, memory_order_acquire);
	uintptr_t start;

	for (unsigned int i = 0; i < end; i++) {
		start = atomic_load_explicit(&entries[i].start, memory_order_acquire);
		if (start != 0 && addr >= start && addr - start < entries[i].guard.size)
			return &entries[i];
	}
	return NULL;
}

/*
 * Zero pages over a whole mapping: page by page, a peer could have us make more mappings than a
 * process may have. They are made elsewhere and moved, in one step of which other threads see
 * nothing. Until they may be accessed, mlockall(MCL_FUTURE) does not fill them; and the first touch
 * of one is to cost a small page, not a huge one.
 */
static bool
replace_mapping(const struct mif_guard *guard)
{
	void *zeros = mmap(NULL, guard->size, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (zeros == MAP_FAILED)
		return false;
	munlock(zeros, guard->size);
	madvise(zeros, guard->size, MADV_NOHUGEPAGE);
	if (mprotect(zeros, guard->size, PROT_READ | PROT_WRITE) == 0 &&
			mremap(zeros, guard->size, guard->size, MREMAP_MAYMOVE | MREMAP_FIXED,
					guard->addr) != MAP_FAILED)
		return true;
	munmap(zeros, guard->size);
	return false;
}

/* Where so much memory may not even be promised (vm.overcommit_memory=2). */
static bool
replace_page(const struct mif_guard *guard, uintptr_t addr)
{
	void *page = (void *)(addr & ~(uintptr_t)(guard->page_size - 1));

	return mmap(page, guard->page_size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

/* Only what may be called in a signal handler. */
static bool
replace(uintptr_t addr)
{
	const struct entry *entry = find(addr);
	const uint64_t one = 1;
	uint32_t none = 0;
	bool news;
	int fd;

	if (entry == NULL)
		return false;
	/* Before zeros can be read: a burst that finds them would give another reason. */
	news = __atomic_compare_exchange_n(entry->guard.fault, &none, entry->guard.value, false,
			__ATOMIC_RELAXED, __ATOMIC_RELAXED);
	if (!replace_mapping(&entry->guard) && !replace_page(&entry->guard, addr))
		return false;
	if (!news)
		return true;
	fd = __atomic_load_n(&entry->guard.wake_fd, __ATOMIC_RELAXED);
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return true;
	return true;
}

/* The same, seen by mif_guard_idle(). Fence: pairs with the one there, so that either it sees us or
 * we see what was changed before it. */
static bool
replace_seen(uintptr_t addr)
{
	bool done;

	atomic_fetch_add_explicit(&inside, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	done = replace(addr);
	/* Release: pairs with the acquire in mif_guard_idle(). */
	atomic_fetch_sub_explicit(&inside, 1, memory_order_release);
	return done;
}

/* The default: a fault is repeated when we return, a signal that was sent is sent again. */
static void
end_process(int signal, bool sent)
{
	struct sigaction fallback = { .sa_handler = SIG_DFL };

	sigaction(signal, &fallback, NULL);
	if (sent)
		raise(signal);
}

/* What this handler would have done. Faults cannot be ignored, sent signals can. */
static void
call(const struct sigaction *handler, int signal, siginfo_t *info, void *context)
{
	bool sent = info->si_code <= 0;

	if (handler->sa_handler == SIG_DFL || (handler->sa_handler == SIG_IGN && !sent))
		end_process(signal, sent);
	else if (handler->sa_handler == SIG_IGN)
		return;
	else if ((handler->sa_flags & SA_SIGINFO) != 0)
		handler->sa_sigaction(signal, info, context);
	else
		handler->sa_handler(signal);
}

/* Not ours. A handler that was called calls deeper in the stack, with the signal that it got. */
static void
pass_on(int signal, siginfo_t *info, void *context, uintptr_t frame)
{
	if (context == passed_context && frame < passed_frame) {
		call(&first, signal, info, context);
		return;
	}
	passed_context = context;
	passed_frame = frame;
	call(&previous, signal, info, context);
	passed_context = NULL;
}

static void
on_sigbus(int signal, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	if (info->si_code <= 0 || !replace_seen((uintptr_t)info->si_addr))
		pass_on(signal, info, context, (uintptr_t)__builtin_frame_address(0));
	errno = saved_errno;
}

static bool
is_ours(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == on_sigbus;
}

static bool
same(const struct sigaction *a, const struct sigaction *b)
{
	return a->sa_handler == b->sa_handler &&
			(a->sa_flags & SA_SIGINFO) == (b->sa_flags & SA_SIGINFO);
}

static int
install(void)
{
	struct sigaction ours = { .sa_sigaction = on_sigbus };
	struct sigaction present;

	ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	if (sigaction(SIGBUS, NULL, &present) != 0)
		return -errno;
	if (is_ours(&present))
		return 0;
	/* Handlers of this signal are few, and set once: copy the old one before ours is live. */
	if (!installed)
		first = present;
	previous = present;
	if (sigaction(SIGBUS, &ours, NULL) != 0)
		return -errno;
	installed = true;
	return 0;
}

/* Somebody who put a handler over ours will call ours: then it stays, and finds nothing to do. */
static void
uninstall(void)
{
	struct sigaction present;

	if (!installed || sigaction(SIGBUS, NULL, &present) != 0 || !is_ours(&present))
		return;
	sigaction(SIGBUS, &previous, NULL);
	/* Else that one has ours below it. */
	installed = !same(&previous, &first);
}

static int
add(const struct mif_guard *guard)
{
	unsigned int i;
	int ret = install();

	if (ret != 0)
		return ret;
	for (i = 0; i < MIF_GUARDS_MAX; i++) {
		if (atomic_load_explicit(&entries[i].start, memory_order_relaxed) == 0)
			break;
	}
	if (i == MIF_GUARDS_MAX)
		return -ENOSPC;
	entries[i].guard = *guard;
	/* Release: pairs with the acquire in find(). */
	atomic_store_explicit(&entries[i].start, (uintptr_t)guard->addr, memory_order_release);
	if (i >= atomic_load_explicit(&reached, memory_order_relaxed))
		atomic_store_explicit(&reached, i + 1, memory_order_release);
	used++;
	return 0;
}

int
mif_guard_add(const struct mif_guard *guard)
{
	int ret;

	pthread_mutex_lock(&lock);
	ret = add(guard);
	pthread_mutex_unlock(&lock);
	return ret;
}

/* The entry of the mapping that starts there, or NULL. Lock held. */
static struct entry *
entry_of(const void *addr)
{
	unsigned int end = atomic_load_explicit(&reached, memory_order_relaxed);

	for (unsigned int i = 0; addr != NULL && i < end; i++) {
		if (atomic_load_explicit(&entries[i].start, memory_order_relaxed) ==
				(uintptr_t)addr)
			return &entries[i];
	}
	return NULL;
}

void
mif_guard_remove(const void *addr)
{
	struct entry *entry;

	pthread_mutex_lock(&lock);
	entry = entry_of(addr);
	if (entry != NULL) {
		atomic_store_explicit(&entry->start, 0, memory_order_relaxed);
		if (--used == 0)
			uninstall();
	}
	pthread_mutex_unlock(&lock);
}

void
mif_guard_silence(const void *addr)
{
	struct entry *entry;

	pthread_mutex_lock(&lock);
	entry = entry_of(addr);
	if (entry != NULL)
		__atomic_store_n(&entry->guard.wake_fd, -1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&lock);
}

bool
mif_guard_idle(void)
{
	/* Fence: pairs with the one of the handler. */
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(&inside, memory_order_acquire) == 0;
}

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
static atomic_uint reached; /* entries from here on have never been used */
static struct sigaction previous;
static bool installed;
static atomic_uint inside; /* threads that replace a page now */

/* Set while the previous handler runs: if that one calls ours, it must not be called again. */
static __thread volatile sig_atomic_t passing_on;

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

/* Only what may be called in a signal handler. */
static bool
replace_page(uintptr_t addr)
{
	const struct entry *entry = find(addr);
	const uint64_t one = 1;
	uint32_t none = 0;
	void *page;
	int fd;

	if (entry == NULL)
		return false;
	page = (void *)(addr & ~(uintptr_t)(entry->guard.page_size - 1));
	if (mmap(page, entry->guard.page_size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return false;
	if (!__atomic_compare_exchange_n(entry->guard.fault, &none, entry->guard.value, false,
			    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return true;
	fd = __atomic_load_n(&entry->guard.wake_fd, __ATOMIC_RELAXED);
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return true;
	return true;
}

/* The same, seen by mif_guard_idle(). Fence: pairs with the one there, so that either it sees us or
 * we see what was changed before it. */
static bool
replace_page_seen(uintptr_t addr)
{
	bool done;

	atomic_fetch_add_explicit(&inside, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	done = replace_page(addr);
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

/* Not ours: what would have happened without us. Faults cannot be ignored, sent signals can. */
static void
pass_on(int signal, siginfo_t *info, void *context)
{
	bool sent = info->si_code <= 0;

	if (passing_on || previous.sa_handler == SIG_DFL) {
		end_process(signal, sent);
	} else if (previous.sa_handler == SIG_IGN) {
		if (!sent)
			end_process(signal, sent);
	} else {
		passing_on = 1;
		if ((previous.sa_flags & SA_SIGINFO) != 0)
			previous.sa_sigaction(signal, info, context);
		else
			previous.sa_handler(signal);
		passing_on = 0;
	}
}

static void
on_sigbus(int signal, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	if (info->si_code <= 0 || !replace_page_seen((uintptr_t)info->si_addr))
		pass_on(signal, info, context);
	errno = saved_errno;
}

static bool
is_ours(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == on_sigbus;
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
	installed = false;
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

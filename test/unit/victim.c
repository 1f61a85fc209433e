/* SPDX-License-Identifier: BSD-3-Clause */

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "memif_guard.h"
#include "unit.h"
#include "victim.h"

bool
victim_open(struct victim *victim, unsigned int flags, uint64_t page_size)
{
	const int access = PROT_READ | PROT_WRITE;
	uint64_t size = PAGES * page_size;

	*victim = (struct victim){ .page_size = page_size };
	victim->fd = memfd_create("unit", MFD_CLOEXEC | flags);
	if (victim->fd < 0)
		return false;
	victim->addr = MAP_FAILED;
	if (ftruncate(victim->fd, (off_t)size) == 0)
		victim->addr = mmap(NULL, size, access, MAP_SHARED, victim->fd, 0);
	if (victim->addr == MAP_FAILED) {
		close(victim->fd);
		return false;
	}
	victim->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	memset(victim->addr, 0x11, size);
	return true;
}

void
victim_close(struct victim *victim)
{
	mif_guard_remove(victim->addr);
	munmap(victim->addr, PAGES * victim->page_size);
	close(victim->fd);
	close(victim->wake_fd);
}

int
guard_part(struct victim *victim, uint64_t first, uint64_t pages)
{
	const struct mif_guard wanted = {
		.addr = victim->addr + first * victim->page_size,
		.size = pages * victim->page_size,
		.page_size = victim->page_size,
		.fault = &victim->fault,
		.value = BROKEN,
		.wake_fd = victim->wake_fd,
	};

	return mif_guard_add(&wanted);
}

int
guard(struct victim *victim)
{
	return guard_part(victim, 0, PAGES);
}

uint32_t
fault_of(const struct victim *victim)
{
	return *(const volatile uint32_t *)&victim->fault;
}

uint64_t
woken(const struct victim *victim)
{
	uint64_t count = 0;

	return read(victim->wake_fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

BY_DESIGN uint8_t
peek(const struct victim *victim, uint64_t offset)
{
	return *(volatile uint8_t *)(victim->addr + offset);
}

BY_DESIGN void
poke(struct victim *victim, uint64_t offset, uint8_t value)
{
	*(volatile uint8_t *)(victim->addr + offset) = value;
}

int
in_child(int (*run)(void))
{
	const struct rlimit no_core = { 0, 0 };
	int status = -1;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGBUS, SIG_DFL); /* cmocka's is not of interest here */
		alarm(10);
		_exit(run());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

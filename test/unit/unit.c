/* SPDX-License-Identifier: BSD-3-Clause */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memif_discard.h"
#include "unit.h"

static const char *skip_reason = "";

void
unit_skip(const char *reason)
{
	skip_reason = reason;
	skip();
	abort();
}

/*
 * Takes the place of cmocka's own, through which all its output goes. Its version 1.1.5 reports a
 * skipped test as "not ok N # SKIP name", which meson counts as a failure, and no version has room
 * for a reason. All else is printed as it comes.
 */
void
print_message(const char *const format, ...)
{
	char line[4096];
	char name[256];
	unsigned int number;
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (sscanf(line, "not ok %u # SKIP %255s", &number, name) == 2 ||
			sscanf(line, "ok %u # SKIP %255s", &number, name) == 2)
		printf("ok %u - %s # SKIP %s\n", number, name, skip_reason);
	else
		fputs(line, stdout);
	fflush(stdout); /* a child must not print what its parent has in the buffer */
}

void
unit_wait_for_discards(void)
{
	for (int ms = 0; ms < 10000 && !mif_discard_idle(); ms++)
		usleep(1000);
	assert_true(mif_discard_idle());
}

static unsigned int
count_fds(void)
{
	uint8_t buffer[4096] __attribute__((aligned(16)));
	unsigned int count = 0;
	uint16_t length;
	int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long bytes;

	assert_true(fd >= 0);
	while ((bytes = syscall(__NR_getdents64, fd, buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < bytes; at += length) {
			memcpy(&length, buffer + at + 16, sizeof(length)); /* d_reclen */
			if (buffer[at + 19] != '.')			   /* d_name */
				count++;
		}
	}
	close(fd);
	return count - 1;
}

/* Anonymous mappings come and go with malloc() and the sanitizers. */
static unsigned int
count_maps(void)
{
	char buffer[4096];
	unsigned int count = 0;
	bool named = false;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	ssize_t bytes;

	assert_true(fd >= 0);
	while ((bytes = read(fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t i = 0; i < bytes; i++) {
			named = named || buffer[i] == '/';
			if (buffer[i] == '\n') {
				count += named;
				named = false;
			}
		}
	}
	close(fd);
	return count;
}

struct unit_holdings
unit_holdings(void)
{
	unit_wait_for_discards();
	return (struct unit_holdings){ .fds = count_fds(), .maps = count_maps() };
}

void
unit_assert_holdings(struct unit_holdings before, const char *file, int line)
{
	struct unit_holdings now = unit_holdings();

	if (now.fds == before.fds && now.maps == before.maps)
		return;
	print_message("# file descriptors: %u before, %u now; mappings: %u before, %u now\n",
			before.fds, now.fds, before.maps, now.maps);
	_fail(file, line);
}

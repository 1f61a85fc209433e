/* SPDX-License-Identifier: BSD-3-Clause */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "memif_discard.h"
#include "memif_notify.h"

struct file {
	int fd;
	STAILQ_ENTRY(file) next;
};

/* File descriptors belong to a process, and so does this. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static STAILQ_HEAD(, file) waiting = STAILQ_HEAD_INITIALIZER(waiting);
static unsigned int threads;

/* Files in memory have seals, if none that are set; asking for them asks no file system. */
static bool
harmless(int fd)
{
	return fcntl(fd, F_GET_SEALS) >= 0 || mif_is_eventfd(fd);
}

static struct file *
next_file(void)
{
	struct file *file;

	pthread_mutex_lock(&lock);
	file = STAILQ_FIRST(&waiting);
	if (file != NULL)
		STAILQ_REMOVE_HEAD(&waiting, next);
	else
		threads--;
	pthread_mutex_unlock(&lock);
	return file;
}

static void *
close_all(void *arg)
{
	struct file *file;

	while ((file = next_file()) != NULL) {
		close(file->fd);
		free(file);
	}
	return arg;
}

/* Signals are the application's threads' to handle. */
static int
start_thread(void)
{
	sigset_t all, before;
	pthread_t thread;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&thread, NULL, close_all, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret != 0)
		return ret;
	pthread_setname_np(thread, "memif-close");
	pthread_detach(thread);
	return 0;
}

void
mif_discard_fd(int fd)
{
	struct file *file = NULL;

	if (fd < 0)
		return;
	if (!harmless(fd))
		file = malloc(sizeof(*file));
	if (file == NULL) {
		close(fd);
		return;
	}
	file->fd = fd;
	pthread_mutex_lock(&lock);
	STAILQ_INSERT_TAIL(&waiting, file, next);
	/* A thread that cannot be had now is had for the next file. */
	if (threads < MIF_DISCARD_THREADS && start_thread() == 0)
		threads++;
	pthread_mutex_unlock(&lock);
}

bool
mif_discard_idle(void)
{
	bool idle;

	pthread_mutex_lock(&lock);
	idle = threads == 0 && STAILQ_EMPTY(&waiting);
	pthread_mutex_unlock(&lock);
	return idle;
}

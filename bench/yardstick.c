/*
 * yardstick: the least that walking a tree can cost.
 *
 *     yardstick list|audit THREADS PATH
 *
 * N threads open each directory relative to its open parent, read it with
 * getdents64 and, to audit, stat every entry. They count and do nothing else:
 * no paths, no order, no limit on memory. What a walker takes beyond this is
 * its own cost. Exit status is 1 if anything could not be read.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A directory lives until it was read and its subdirectories were opened. */
struct dir {
	struct dir *up;
	atomic_int users; /* who needs fd: its reader, and subdirectories to open */
	int fd;
	char name[];
};

/* Its thread pushes and pops at the end; thieves take the oldest. */
struct worker {
	pthread_t thread;
	pthread_mutex_t lock;
	struct dir **queue;
	size_t head, tail, cap;
	long dirs, files, others, bytes, errors;
	_Alignas(64) char buf[64 << 10];
};

static struct worker *workers;
static int nworkers, audit;
static atomic_long pending;	/* directories found and not yet read */
static atomic_long queued;	/* those of them that wait in a queue */
static atomic_int idle;
static pthread_mutex_t idle_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;

static void *must(void *p)
{
	if (!p) {
		perror("yardstick: malloc");
		exit(1);
	}
	return p;
}

static void fail(struct worker *w, const char *op, const char *name)
{
	fprintf(stderr, "yardstick: %s %s: %s\n", op, name, strerror(errno));
	w->errors++;
}

static void wake_all(void)
{
	pthread_mutex_lock(&idle_lock);
	pthread_cond_broadcast(&wake);
	pthread_mutex_unlock(&idle_lock);
}

static void push(struct worker *w, struct dir *up, const char *name)
{
	size_t len = strlen(name) + 1;
	struct dir *d = must(malloc(sizeof *d + len));
	d->up = up;
	d->users = 1;
	memcpy(d->name, name, len);
	if (up)
		atomic_fetch_add_explicit(&up->users, 1, memory_order_relaxed);
	atomic_fetch_add(&pending, 1);

	pthread_mutex_lock(&w->lock);
	if (w->tail == w->cap && w->head > w->cap / 2) {
		memmove(w->queue, w->queue + w->head, (w->tail - w->head) * sizeof *w->queue);
		w->tail -= w->head;
		w->head = 0;
	} else if (w->tail == w->cap) {
		w->cap = w->cap ? 2 * w->cap : 256;
		w->queue = must(realloc(w->queue, w->cap * sizeof *w->queue));
	}
	w->queue[w->tail++] = d;
	pthread_mutex_unlock(&w->lock);

	/* Either the sleeper sees queued, or this sees the sleeper. */
	atomic_fetch_add(&queued, 1);
	if (atomic_load(&idle))
		wake_all();
}

static struct dir *take(struct worker *w, int own)
{
	struct dir *d = NULL;
	pthread_mutex_lock(&w->lock);
	if (w->head < w->tail)
		d = own ? w->queue[--w->tail] : w->queue[w->head++];
	pthread_mutex_unlock(&w->lock);
	if (d)
		atomic_fetch_sub(&queued, 1);
	return d;
}

/* next returns NULL when all directories were read. */
static struct dir *next(struct worker *w)
{
	for (;;) {
		struct dir *d = take(w, 1);
		int self = w - workers;
		for (int i = 1; !d && i < nworkers; i++)
			d = take(&workers[(self + i) % nworkers], 0);
		if (d)
			return d;
		pthread_mutex_lock(&idle_lock);
		atomic_fetch_add(&idle, 1);
		while (!atomic_load(&queued) && atomic_load(&pending))
			pthread_cond_wait(&wake, &idle_lock);
		atomic_fetch_sub(&idle, 1);
		pthread_mutex_unlock(&idle_lock);
		if (!atomic_load(&pending))
			return NULL;
	}
}

static void release(struct dir *d)
{
	if (d && atomic_fetch_sub(&d->users, 1) == 1) {
		if (d->fd >= 0)
			close(d->fd);
		free(d);
	}
}

static void entry(struct worker *w, struct dir *d, const struct dirent64 *e)
{
	struct stat st;
	int type = e->d_type, have = 0;

	if (type == DT_UNKNOWN || (audit && type != DT_DIR)) {
		if (fstatat(d->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW)) {
			fail(w, "stat", e->d_name);
			return;
		}
		type = IFTODT(st.st_mode);
		have = 1;
	}
	if (type == DT_DIR) {
		push(w, d, e->d_name);
	} else if (type == DT_REG) {
		w->files++;
		w->bytes += have && audit ? st.st_size : 0;
	} else {
		w->others++;
	}
}

static void read_dir(struct worker *w, struct dir *d)
{
	struct stat st;
	ssize_t n;

	d->fd = openat(d->up ? d->up->fd : AT_FDCWD, d->name,
		       O_RDONLY | O_DIRECTORY | O_CLOEXEC | (d->up ? O_NOFOLLOW : 0));
	release(d->up);
	w->dirs++;
	if (d->fd < 0) {
		fail(w, "open", d->name);
		return;
	}
	/* A directory's stat is cheapest where it is open. */
	if (audit && fstat(d->fd, &st))
		fail(w, "stat", d->name);
	while ((n = getdents64(d->fd, w->buf, sizeof w->buf)) > 0) {
		for (char *p = w->buf; p < w->buf + n;) {
			struct dirent64 *e = (struct dirent64 *)p;
			const char *s = e->d_name;
			if (!(s[0] == '.' && (!s[1] || (s[1] == '.' && !s[2]))))
				entry(w, d, e);
			p += e->d_reclen;
		}
	}
	if (n < 0)
		fail(w, "read", d->name);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct dir *d;

	while ((d = next(w))) {
		read_dir(w, d);
		release(d);
		if (atomic_fetch_sub(&pending, 1) == 1)
			wake_all();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct rlimit files;
	long dirs = 0, regular = 0, others = 0, bytes = 0, errors = 0;

	if (argc != 4 || (nworkers = atoi(argv[2])) < 1 ||
	    (!(audit = !strcmp(argv[1], "audit")) && strcmp(argv[1], "list"))) {
		fprintf(stderr, "usage: yardstick list|audit THREADS PATH\n");
		return 2;
	}
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	workers = must(aligned_alloc(64, nworkers * sizeof *workers));
	for (int i = 0; i < nworkers; i++) {
		memset(&workers[i], 0, offsetof(struct worker, buf));
		pthread_mutex_init(&workers[i].lock, NULL);
	}
	push(&workers[0], NULL, argv[3]);
	for (int i = 1; i < nworkers; i++) {
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i])) {
			perror("yardstick: pthread_create");
			return 1;
		}
	}
	work(&workers[0]);
	for (int i = 0; i < nworkers; i++) {
		struct worker *w = &workers[i];
		if (i)
			pthread_join(w->thread, NULL);
		dirs += w->dirs;
		regular += w->files;
		others += w->others;
		bytes += w->bytes;
		errors += w->errors;
	}
	printf("dirs=%ld files=%ld others=%ld bytes=%ld\n", dirs, regular, others, bytes);
	return errors != 0;
}

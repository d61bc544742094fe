/*
 * rusage: run a program and tell what it used.
 *
 *     rusage FILE PROGRAM [ARG...]
 *
 * FILE gets one line: wall, user and system time in microseconds, and the peak
 * of resident memory in KiB. It exits as the program does.
 *
 * It is a program of its own because it is small: the peak that Linux reports
 * of a process counts what its parent had in memory when it forked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static long long micros(struct timeval t)
{
	return t.tv_sec * 1000000LL + t.tv_usec;
}

int main(int argc, char **argv)
{
	struct rusage used;
	int status;
	long long start = now();
	FILE *out;
	pid_t child;

	if (argc < 3) {
		fprintf(stderr, "usage: rusage FILE PROGRAM [ARG...]\n");
		return 2;
	}
	child = fork();
	if (!child) {
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &used) < 0) {
		perror("rusage");
		return 1;
	}
	start = now() - start;
	if (!(out = fopen(argv[1], "w")) ||
	    fprintf(out, "%lld %lld %lld %ld\n", start, micros(used.ru_utime), micros(used.ru_stime), used.ru_maxrss) < 0 ||
	    fclose(out)) {
		perror(argv[1]);
		return 1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

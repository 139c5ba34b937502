/* SPDX-License-Identifier: MIT */
/*
 * spawn.c - what it costs to start a program
 *
 *	spawn ROUNDS CASE...
 *
 * A CASE is "NAME|VARIABLE=VALUE ...|COMMAND WORD ...". Each round starts every case once, in turn, on
 * one processor, and waits for its end. Prints a line for each case: NAME, then in microseconds the
 * medians of the time on the wall and of processor time (which other load on the machine disturbs
 * less), and the page faults of the last round, separated by tabs.
 */
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MOST	32
#define VARIABLES_MOST	512
#define CASES_MOST	32
#define WARM_UP		5	/* rounds that do not count */

struct one_case {
	char *name;
	char *environment[VARIABLES_MOST + 1];
	char *words[WORDS_MOST + 1];
	double *wall;
	double *processor;
	long faults;
};

static struct one_case cases[CASES_MOST];

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static double us(const struct timeval *tv)
{
	return (double)tv->tv_sec * 1e6 + (double)tv->tv_usec;
}

static size_t split(char *text, char **words, size_t most)
{
	size_t count = 0;
	char *rest, *word;

	for (word = strtok_r(text, " ", &rest); word && count < most; word = strtok_r(NULL, " ", &rest))
		words[count++] = word;
	words[count] = NULL;
	return count;
}

static void parse(struct one_case *it, char *text, size_t rounds)
{
	char *variables = strchr(text, '|'), *command = variables ? strchr(variables + 1, '|') : NULL;
	size_t count, i;

	if (!command) {
		fprintf(stderr, "spawn: \"%s\": should be NAME|VARIABLES|COMMAND\n", text);
		exit(64);
	}
	*variables++ = '\0';
	*command++ = '\0';
	it->name = text;
	count = split(variables, it->environment, VARIABLES_MOST);
	for (i = 0; environ[i] && count < VARIABLES_MOST; i++)
		it->environment[count++] = environ[i];
	split(command, it->words, WORDS_MOST);
	it->wall = calloc(rounds, sizeof(double));
	it->processor = calloc(rounds, sizeof(double));
	if (!it->wall || !it->processor)
		exit(71);
}

static void run(struct one_case *it, double *wall, double *processor)
{
	double begun = now_us();
	struct rusage usage;
	int status;
	pid_t pid;

	if (posix_spawnp(&pid, it->words[0], NULL, NULL, it->words, it->environment) != 0 ||
	    wait4(pid, &status, 0, &usage) != pid || status != 0) {
		fprintf(stderr, "spawn: %s: does not run\n", it->name);
		exit(69);
	}
	*wall = now_us() - begun;
	*processor = us(&usage.ru_utime) + us(&usage.ru_stime);
	it->faults = usage.ru_minflt;
}

int main(int argc, char **argv)
{
	size_t rounds = argc > 2 ? (size_t)atoi(argv[1]) : 0, count = (size_t)argc - 2, round, i;
	double wall, processor;
	cpu_set_t set;

	if (!rounds || count > CASES_MOST) {
		fputs("spawn: usage: spawn ROUNDS CASE...\n", stderr);
		return 64;
	}
	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
	for (i = 0; i < count; i++)
		parse(&cases[i], argv[2 + i], rounds);
	for (round = 0; round < rounds + WARM_UP; round++) {
		for (i = 0; i < count; i++) {
			run(&cases[i], &wall, &processor);
			if (round >= WARM_UP) {
				cases[i].wall[round - WARM_UP] = wall;
				cases[i].processor[round - WARM_UP] = processor;
			}
		}
	}
	for (i = 0; i < count; i++) {
		printf("%s\t%.1f\t%.1f\t%ld\n", cases[i].name, median(cases[i].wall, rounds),
		       median(cases[i].processor, rounds), cases[i].faults);
	}
	return 0;
}

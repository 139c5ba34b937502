#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# nat.sh - how many pairs of hosts get a direct path, over a population of NATs
#
#	ROUNDS=4 SEED=1 JOBS=6 TACTICS='ours once dcutr' [PAIRS='E1-E1 R8-E2'] [SVG=FILE] [KEEP=FILE] tests/bench/nat.sh
#
# Every ordered pair of classes (population.py has them, with their weights) is tried ROUNDS times, each
# time with delay, loss and what else the population has drawn anew; the figures are weighted by the classes'
# shares. Real programs, real kernels at both ends, the lab's own NATs between them; JOBS labs side by side. The tactics
# of others (baseline.c) get the same draw.
cd "$(dirname "$0")/../.." || exit 1
B=$PWD/${B:-build}
out=$(mktemp -d)
trap 'jobs=$(jobs -p); [ -z "$jobs" ] || kill $jobs 2>/dev/null; rm -rf "$out"' EXIT
trap 'exit 143' INT TERM
python3 tests/bench/population.py draw "${ROUNDS:-4}" "${SEED:-1}" "${PAIRS:-}" >"$out/pairs"
split -n "r/${JOBS:-6}" "$out/pairs" "$out/job."
SECONDS=0
for job in "$out"/job.*; do
	# shellcheck disable=SC2086
	LAB_BUILD=$B tests/bench/nat_worker.sh "$job" "$job.result" ${TACTICS:-ours once dcutr} >"$job.log" 2>&1 &
done
wait
cat "$out"/job.*.result >"$out/results" 2>/dev/null
[ -s "$out/results" ] || { cat "$out"/job.*.log; exit 1; }
[ -z "${KEEP:-}" ] || cp "$out/results" "$KEEP"
python3 tests/bench/population.py report "$out/results" ${SVG:+"$SVG"}
printf '%d pairs drawn, %d min %d s\n' "$(wc -l <"$out/pairs")" $((SECONDS / 60)) $((SECONDS % 60))

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 300
#
# A small draw of the population that `make bench-nat` measures: every pair is connected, and what one
# simultaneous open, ordered opening or guessing opens is direct in one of two connections.
set -u
cd "$(dirname "$0")/../.." || exit 1
unshare --net true 2>/dev/null || { echo 'SKIP population: no namespaces here'; exit 77; }
results=$(mktemp)
trap 'rm -f "$results"' EXIT
DIRECT='E1-E1 E2-E2 E3-E1 E2-E4 S5-E2 E1-S5 Q6-E2 E1-R8 Q6-Q6'
RELAYED='S5-S5 X9-E1 B7-R8'
report=$(ROUNDS=1 SEED=5 JOBS=3 TACTICS=ours PAIRS="$DIRECT $RELAYED" KEEP=$results tests/bench/nat.sh 2>&1)
for pair in $DIRECT $RELAYED; do
	IFS=$'\t' read -r path again why < <(awk -F '\t' -v OFS='\t' -v pair="$pair" \
		'$2 "-" $3 == pair { print $4, $5, $9 }' "$results")
	case " $DIRECT " in
	*" $pair "*) [[ $path,$again = *direct* ]] && verdict=ok || verdict='not ok' ;;
	*) [ "${path:-none}" != none ] && verdict=ok || verdict='not ok' ;;
	esac
	echo "$verdict - $pair: ${path:-none}, again ${again:-none}${why:+ ($why)}"
done
case $report in
*'12 pairs of hosts, 12 pairs of classes'*'ceiling '*'set-up of a warm connection'*) echo 'ok - the figures are printed' ;;
*) echo "not ok - the figures are printed" && printf '%s\n' "$report" | sed 's/^/# /' ;;
esac

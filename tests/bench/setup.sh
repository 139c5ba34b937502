#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# setup.sh - time from connect() to established, against the round-trip times of the path
#
# The rendezvous stands in the middle: its round trip to either side is half of the peers' own.
. "$(dirname "$0")/../lab/lab.sh"
. "$(dirname "$0")/../lab/punch.sh"
lab_begin "$@"
ROUNDS=${ROUNDS:-15}
punch_net port=preserve filtering=address-port stray=drop delay=5ms -- \
	port=preserve filtering=address-port stray=drop delay=5ms
punch_servers
punch_conf bob $'[service echo]\nport = 9000\nencrypt = no'
punch_conf alice
lab_bg bob echo punch socat TCP-LISTEN:9000,fork,reuseaddr,backlog=128 EXEC:cat
punch_published bob 9000

# Connects one after the other from one warm process; prints milliseconds, one a line
measure() {
	lab_run alice env "$@" punch python3 -c '
import socket, sys, time
for i in range(int(sys.argv[1])):
    t = time.monotonic()
    s = socket.create_connection(("bob", 9000), 20)
    took = time.monotonic() - t
    s.sendall(b"x"); assert s.recv(1) == b"x"
    s.close()
    print("%.1f" % (took * 1000))
    time.sleep(0.4)	# let the next ports be prepared: the figure is for a warm node
' "$ROUNDS"
}
row() { # NAME RTT-MS
	sort -n | awk -v name="$1" -v rtt="$2" '{ v[NR] = $1 }
		END { p50 = v[int((NR + 1) / 2)]; p95 = v[int(NR * 0.95 + 0.5)]
		printf "%-28s %8.0f %8.1f %8.1f %8.2f %8.2f %5d\n", name, rtt, p50, p95, p50 / rtt, p95 / rtt, NR }'
}
printf '%-28s %8s %8s %8s %8s %8s %5s\n' 'stray SYN A/B' 'rtt ms' 'p50 ms' 'p95 ms' 'p50 rtt' 'p95 rtt' n
for delay in 5 25 100; do
	for strays in 'drop drop' 'rst rst'; do
		read -r a b <<<"$strays"
		lab_set natA stray="$a" delay="${delay}ms"
		lab_set natB stray="$b" delay="${delay}ms"
		measure PUNCH_LOG=error | row "$a/$b, direct" $((4 * delay))
	done
	measure PUNCH_ROUTE=relay | row 'relayed' $((4 * delay))
done

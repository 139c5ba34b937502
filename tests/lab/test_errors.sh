#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 200
#
# Each failure has its errno, and one line that says what to do; nothing hangs.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_net port=preserve delay=5ms -- port=preserve delay=5ms
lab_host mallory inet 203.0.113.66
PUNCH_PEERS='alice bob'
punch_servers
punch_conf bob $'[service echo]\nport = 9000\n[service hers]\nport = 9001\nallow = nobody\n[peer nobody]\nkey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n[service secret]\nport = 9002\nencrypt = yes'
punch_conf alice $'[peer ghost]\nkey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE='
sed -i 's/^\[peer bob\]$/&\nencrypt = no/' "$(punch_dir alice)/punch.conf"
for port in 9000 9001 9002; do
	lab_bg bob "echo$port" punch socat "TCP-LISTEN:$port,fork,reuseaddr" EXEC:cat
	punch_published bob "$port"
done

# fails NAME HOST PEER PORT ERRNO LINE [ENV...]
fails() {
	local name=$1 host=$2 peer=$3 port=$4 errno=$5 line=$6 out start took
	shift 6
	start=${EPOCHREALTIME/./}
	out=$(lab_run "$host" env "$@" timeout 40 punch python3 -c '
import errno, socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])))
    print("connected")
except OSError as e:
    print(errno.errorcode.get(e.errno, e))' "$peer" "$port" 2>"$LAB_DIR/err")
	took=$(((${EPOCHREALTIME/./} - start) / 1000))
	lab_expect_eq "$name: errno" "$out" "$errno"
	lab_expect_match "$name: says what to do" "$(cat "$LAB_DIR/err")" "$line"
	lab_expect_eq "$name: one line" "$(wc -l <"$LAB_DIR/err")" 1
	lab_note "$name: after $took ms"
}
fails 'peer offline' alice ghost 22 EHOSTUNREACH 'ghost.*\[peer ghost\]'
fails 'service not offered' alice bob 9999 ECONNREFUSED 'bob.*port 9999.*\[service\]'
fails 'not allowed' alice bob 9001 ECONNREFUSED 'bob.*9001.*allow'
fails 'encryption demanded there, refused here' alice bob 9002 ECONNREFUSED 'bob.*9002.*encrypt = no here and yes there.*\[peer bob\]'

# --- a stranger learns nothing: the same as an absent peer
PUNCH_PEERS=mallory
punch_conf mallory "$(printf '[peer bob]\nkey = %s' "$(punch_key bob)")"
fails 'a stranger' mallory bob 9000 EHOSTUNREACH 'bob.*not connected'

# --- wrong server key
sed -i 's/^rendezvous-key = .*/rendezvous-key = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=/' "$(punch_dir mallory)/punch.conf"
lab_run mallory punchctl stop
fails 'wrong server key' mallory bob 9000 EACCES 'rdv.*key'
PUNCH_PEERS='alice bob'

# --- unreachable rendezvous; then no path in time
lab_run alice punchctl stop
lab_stop rendezvous
fails 'rendezvous unreachable' alice bob 9000 ENETUNREACH 'rdv.*\[node\] rendezvous' PUNCH_TIMEOUT=4
punch_servers
punch_published bob 9000
lab_set natA mapping=address-port port=random
lab_set natB mapping=address-port port=random
fails 'no path in time' alice bob 9000 ETIMEDOUT 'bob.*direct.*relay' PUNCH_TIMEOUT=4 PUNCH_ROUTE=direct

# --- a name that is a peer's never leaks
lab_expect_eq 'without the shim a stand-in address goes nowhere' "$(lab_run alice python3 -c '
import errno, socket
try:
    socket.create_connection(("239.192.0.7", 22), 5)
except OSError as e:
    print(errno.errorcode[e.errno])')" ENETUNREACH

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 240
#
# Relayed where punching cannot work, or where the user wants it; the same programs, the same results.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
LAB_MTU=9000
punch_net mapping=address-port port=random filtering=address-port delay=10ms -- \
	mapping=address-port port=random filtering=address-port delay=10ms
punch_servers
services=$'[service ssh]\nport = 22\n[service web]\nport = 8000\n[service any]\nport = 9000'
punch_conf bob "$services"
punch_conf alice
lab_bg bob echo punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
mkdir -p "$LAB_DIR/www" && head -c 50M /dev/urandom >"$LAB_DIR/www/big"
lab_bg bob web punch python3 -m http.server 8000 --directory "$LAB_DIR/www"
punch_published bob 9000
punch_published bob 8000

lab_expect_eq 'two random symmetric NATs: bytes pass' \
	"$(echo hello | lab_run alice timeout 20 punch nc -N -w 10 bob 9000)" hello
lab_expect_eq 'two random symmetric NATs: relayed' "$(punch_last_path alice)" relay
echo again | lab_run alice timeout 20 punch nc -N -w 10 bob 9000 >/dev/null
ms=$(punch_status alice '[.connections[] | select(.direction == "out")] | last | .setup_ms')
# Invitation and answer cost 2 x 40 ms here, the relay's join and the proof two more round trips to it
lab_note "set up in $ms ms: $(awk "BEGIN { printf \"%.1f\", $ms / 20 }") round trips to the relay"
lab_expect_eq 'curl of 50 MB' "$(lab_run alice punch curl -s http://bob:8000/big | sha256sum)" "$(sha256sum <"$LAB_DIR/www/big")"
lab_expect_eq 'half-close is carried' "$(lab_run alice punch python3 -c '
import socket
s = socket.create_connection(("bob", 9000), 10)
s.sendall(b"x" * 100000); s.shutdown(socket.SHUT_WR)
n = 0
while True:
    d = s.recv(65536)
    if not d: break
    n += len(d)
print(n)')" 100000

if [ "$(awk '{print $3}' /proc/self/uid_map)" -gt 1 ]; then
	punch_sshd bob
	punch_published bob 22
	lab_expect_eq 'ssh' "$(lab_run alice punch ssh "${PUNCH_SSH[@]}" bob echo relayed)" relayed
	head -c 50M /dev/urandom >"$LAB_DIR/big"
	lab_expect 'rsync' lab_run alice punch rsync -a -e "ssh ${PUNCH_SSH[*]}" "$LAB_DIR/big" "bob:$LAB_DIR/copied"
	lab_expect 'rsync copied every byte' cmp "$LAB_DIR/big" "$LAB_DIR/copied"
	lab_expect_eq 'ssh was relayed' "$(punch_last_path alice)" relay
else
	lab_skip 'ssh over the relay' 'sshd wants real root'
fi

# --- by wish
lab_set natA mapping=endpoint port=preserve
lab_set natB mapping=endpoint port=preserve
lab_expect_eq 'PUNCH_ROUTE=relay: bytes pass' \
	"$(echo hello | lab_run alice env PUNCH_ROUTE=relay timeout 20 punch nc -N -w 10 bob 9000)" hello
lab_expect_eq 'PUNCH_ROUTE=relay: relayed' "$(punch_last_path alice)" relay

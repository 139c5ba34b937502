#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# parallel: yes
# timeout: 100
#
# Another's STUN server (coturn) sees what the rendezvous, with its one address, cannot.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
[ -x /usr/bin/turnserver ] || lab_skip 'no turnserver here'
lab_internet
lab_server rdv 203.0.113.10
lab_server stun 203.0.113.30
punch_servers
lab_bg stun coturn turnserver -n --stun-only --no-udp --no-tls --no-dtls --no-cli -L 203.0.113.30 -p 3478 \
	--log-file stdout --pidfile "$LAB_DIR/coturn.pid"
lab_wait_port stun 3478
n=0
# behind NAT-OPTIONS...: host$n, and its doctor in the background; $setting goes into its [node]
behind() {
	n=$((n + 1))
	lab_nat "nat$n" "198.51.100.$n" "$@"
	lab_host "host$n" "nat$n" 192.168.1.2
	PUNCH_PEERS="host$n"
	punch_conf "host$n"
	sed -i "s/^name = .*/&\\n$setting/" "$(punch_dir "host$n")/punch.conf"
	lab_bg "host$n" "doctor$n" punchctl doctor --json
}
setting='' behind mapping=address port=random
setting='stun = stun' behind mapping=address port=random
setting='stun = stun:3478' behind mapping=endpoint port=offset
setting='stun = 203.0.113.31' behind mapping=endpoint filtering=none # nobody there
setting='stun = no-such-name.example' behind mapping=endpoint filtering=none
for i in 1 2 3 4 5; do wait "${LAB_BGPID[doctor$i]}"; done
said() { jq -r .nat.mapping "$(lab_log "doctor$1")"; }
lab_expect_eq 'one address alone is deceived' "$(said 1)" endpoint-independent
lab_expect_eq 'coturn tells that the mapping depends on the address' "$(said 2)" address-dependent
lab_expect_eq 'coturn agrees where it does not' "$(said 3)" endpoint-independent
lab_expect_eq 'a server that is not there' "$(said 4)" endpoint-independent
lab_expect_eq 'a server that nobody knows' "$(said 5)" endpoint-independent

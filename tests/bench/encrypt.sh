#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# encrypt.sh - bytes a second of one stream, encrypted by punch and by others, against a plain connection
#
# alice and carol have no NAT, so that all take the same way. Rounds are interleaved; the ratios are of medians.
# What is not installed (stunnel4, socat, openssh) is left out. With STREAMS=16 many at once.
. "$(dirname "$0")/../lab/lab.sh"
. "$(dirname "$0")/../lab/punch.sh"
lab_begin "$@"
ROUNDS=${ROUNDS:-5}
SPAN=${SPAN:-2}
STREAMS=${STREAMS:-1}
LAB_MTU=65000
lab_internet
lab_server rdv 203.0.113.10
lab_host alice inet 203.0.113.20
lab_host carol inet 203.0.113.30
PUNCH_PEERS='alice carol'
punch_servers
punch_conf carol $'[service bare]\nport = 5201\nencrypt = no\n[service pump]\nport = 5202'
punch_conf alice
for port in 5201 5202; do
	lab_bg carol "iperf$port" punch iperf3 -s -p "$port"
	punch_published carol "$port"
done
kinds=(plain bare pump)

# --- the others: each forwards a port of alice's to carol's iperf3
if [ -x /usr/sbin/sshd ] && [ "$(awk '{print $3}' /proc/self/uid_map)" -gt 1 ]; then
	punch_sshd carol plain
	lab_bg alice forward ssh "${PUNCH_SSH[@]}" -c aes128-gcm@openssh.com -N -L 6001:127.0.0.1:5201 203.0.113.30
	lab_wait_port alice 6001
	kinds+=(ssh)
fi
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=carol -days 2 -keyout "$LAB_DIR/tls.key" -out "$LAB_DIR/tls.crt" 2>/dev/null
cat "$LAB_DIR/tls.key" "$LAB_DIR/tls.crt" >"$LAB_DIR/tls.pem"
if command -v socat >/dev/null; then
	lab_bg carol socat socat -b 131072 "OPENSSL-LISTEN:7002,fork,reuseaddr,cert=$LAB_DIR/tls.pem,verify=0" TCP:127.0.0.1:5201
	lab_bg alice socat2 socat -b 131072 TCP-LISTEN:6002,fork,reuseaddr OPENSSL:203.0.113.30:7002,verify=0
	lab_wait_port alice 6002
	lab_wait_port carol 7002
	kinds+=(socat)
fi
if command -v stunnel >/dev/null; then
	common=$'foreground = yes\npid =\ndebug = 3\nciphersuites = TLS_AES_128_GCM_SHA256\n[iperf]\n'
	printf '%saccept = 7003\nconnect = 127.0.0.1:5201\ncert = %s\n' "$common" "$LAB_DIR/tls.pem" >"$LAB_DIR/server.conf"
	printf '%sclient = yes\naccept = 6003\nconnect = 203.0.113.30:7003\n' "$common" >"$LAB_DIR/client.conf"
	lab_bg carol stunnel stunnel "$LAB_DIR/server.conf"
	lab_bg alice stunnel2 stunnel "$LAB_DIR/client.conf"
	lab_wait_port alice 6003
	lab_wait_port carol 7003
	kinds+=(stunnel)
fi

measure() { # HOST PORT [RUNNER]: bits a second
	lab_run alice "${@:3}" timeout 60 iperf3 -c "$1" -p "$2" -t "$SPAN" -P "$STREAMS" -J |
		jq -r '.end.sum_received.bits_per_second // 0'
}
one() {
	case $1 in
	plain) measure 203.0.113.30 5201 ;;
	bare) measure carol 5201 punch ;;
	pump) measure carol 5202 punch ;;
	ssh) measure 127.0.0.1 6001 ;;
	socat) measure 127.0.0.1 6002 ;;
	stunnel) measure 127.0.0.1 6003 ;;
	esac
}
for ((i = 0; i < ROUNDS; i++)); do
	for kind in "${kinds[@]}"; do one "$kind" >>"$LAB_DIR/$kind"; done
done
lab_note "what it was: $(punch_status alice '[.connections[] | select(.direction == "out") | .encrypted] | unique | join(", ")')"
median() { sort -n "$LAB_DIR/$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
printf '%-10s %12s %10s\n' "$STREAMS stream" 'Gbit/s' 'x plain'
for kind in "${kinds[@]}"; do
	awk -v k="$kind" -v v="$(median "$kind")" -v p="$(median plain)" \
		'BEGIN { printf "%-10s %12.2f %10.2f\n", k, v / 1e9, v / p }'
done
# gs-netcat goes through a server in any case, and Debian's gsocket has only the client's side
printf '%-10s %12s   (Debian has no server for it, and without one it connects nothing)\n' gs-netcat -

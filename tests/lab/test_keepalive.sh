#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 120
# parallel: yes
#
# A NAT that forgets idle connections after seconds, and two logins that are idle for longer: one lives by
# keepalive, the other shows that it would not have without. And what a program finds set on its socket.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
[ "$(awk '{print $3}' /proc/self/uid_map)" -gt 1 ] || lab_skip 'sshd wants real root'
punch_net port=preserve filtering=address-port delay=5ms established=6s -- \
	port=preserve filtering=address-port delay=5ms
lab_nat natC 198.51.100.3 port=preserve filtering=address-port delay=5ms established=6s
lab_host carol natC 192.168.1.2
punch_servers
# bob's own probes would hold alice's NAT open, too
node_setting() { sed -i "s/^rendezvous = /$2\n&/" "$(punch_dir "$1")/punch.conf"; }
punch_conf bob $'[service ssh]\nport = 22\n[service any]\nport = 9000\nencrypt = no'
punch_conf alice
punch_conf carol
node_setting bob 'keepalive = no'
node_setting alice 'keepalive = 2'
node_setting carol 'keepalive = no'
punch_sshd bob
cat >"$LAB_DIR/options.py" <<'PYTHON'
import socket, sys
def show(s):
    plain = socket.socket()
    names = ["SO_REUSEADDR", "SO_REUSEPORT", "SO_LINGER", "SO_OOBINLINE", "SO_PRIORITY", "SO_RCVLOWAT"]
    levels = [(socket.SOL_SOCKET, getattr(socket, n), n) for n in names]
    levels += [(socket.IPPROTO_TCP, getattr(socket, n), n) for n in ["TCP_NODELAY", "TCP_CORK", "TCP_USER_TIMEOUT",
               "TCP_SYNCNT", "TCP_LINGER2"]]
    levels += [(socket.IPPROTO_IP, socket.IP_TTL, "IP_TTL"), (socket.IPPROTO_IP, 21, "IP_MINTTL"),
               (socket.IPPROTO_IP, 11, "IP_RECVERR"), (socket.SOL_SOCKET, 72, "SO_BUF_LOCK")]
    other = [n for l, o, n in levels if s.getsockopt(l, o) != plain.getsockopt(l, o)]
    print("other:", *other, "keepalive:", s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
          s.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE), "blocking:", s.getblocking(), flush=True)
if sys.argv[1] == "serve":
    l = socket.socket()
    l.bind(("0.0.0.0", 9000))
    l.listen()
    while True:
        s, _ = l.accept()
        show(s)
        s.sendall(b"ok")
else:
    s = socket.create_connection(("bob", 9000), 15)
    s.settimeout(None)
    assert s.recv(2) == b"ok"
    show(s)
PYTHON
lab_bg bob options punch python3 "$LAB_DIR/options.py" serve
punch_published bob 22
punch_published bob 9000

login() { # HOST: ten seconds of silence, then a word
	lab_run "$1" timeout 20 punch ssh "${PUNCH_SSH[@]}" -o ServerAliveInterval=0 bob 'echo in; sleep 10; echo alive'
}
login alice >"$LAB_DIR/alice" 2>&1 &
kept=$!
login carol >"$LAB_DIR/carol" 2>&1 &
lost=$!

# Meanwhile: the socket of a program looks like any other, at both ends
fresh_idle=$(cat /proc/sys/net/ipv4/tcp_keepalive_time)
lab_expect_eq "the caller's socket is as fresh, but for keepalive" \
	"$(lab_run alice punch python3 "$LAB_DIR/options.py" call)" 'other: keepalive: 1 2 blocking: True'
lab_expect_eq 'the same relayed' \
	"$(PUNCH_ROUTE=relay lab_run alice punch python3 "$LAB_DIR/options.py" call)" 'other: keepalive: 1 2 blocking: True'
lab_expect_eq 'keepalive = no: as fresh' \
	"$(lab_run carol punch python3 "$LAB_DIR/options.py" call)" "other: keepalive: 0 $fresh_idle blocking: True"
lab_expect_eq "the server's sockets are as fresh" "$(sort -u "$(lab_log options)")" \
	"other: keepalive: 0 $fresh_idle blocking: True"

wait "$kept"
lab_expect_eq 'ssh, idle for longer than the NAT remembers: alive' "$(tr '\n' ' ' <"$LAB_DIR/alice")" 'in alive '
lab_expect_eq 'over a direct path' "$(punch_status alice '[.connections[] | .path] | first')" direct
wait "$lost"
lab_expect_eq 'without keepalive it is lost' "$(tr '\n' ' ' <"$LAB_DIR/carol")" 'in '

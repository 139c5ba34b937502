#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 150
# parallel: yes
#
# A gateway that is switched off and on has lost its mappings, and announces that it begins anew: they are back within
# seconds. A host that does not hear it waits until half of its lease is over.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
. "$(dirname "$0")/gateway.sh"
lab_begin "$@"
[ -x /usr/sbin/miniupnpd ] || lab_skip 'no miniupnpd here'
punch_debug
lab_internet
lab_server rdv 203.0.113.10
punch_servers
n=0
for host in pcp nat-pmp pcp6 deaf; do
	n=$((n + 1))
	lab_nat "nat-$host" "45.67.89.$n" kernel delay=5ms
	lab_host "$host" "nat-$host" 192.168.1.2
	settings=(enable_upnp=no enable_natpmp=yes max_lifetime=121)
	[ $host != pcp6 ] || gateway_ipv6 "nat-$host" "2a02:db8:$n" "$host"
	gateway_real "nat-$host" "${settings[@]}" ext_ifname6=wan6
	PUNCH_PEERS=$host
	punch_conf "$host"
	case $host in nat-pmp) protocol=nat-pmp ;; *) protocol=pcp ;; esac
	sed -i "s/^name = .*/&\nport-mapping = $protocol/" "$(punch_dir "$host")/punch.conf"
done
lab_run deaf nft 'table ip ear { chain in { type filter hook input priority 0; udp dport 5350 drop; }; }'

mapped() {
	case $1 in
	pcp6) [ "$(gateway_pinholes "nat-$1")" = 1 ] ;;
	*) [ "$(gateway_chains "nat-$1" | grep -c dnat)" = 2 ] ;;
	esac
}
for host in pcp nat-pmp pcp6 deaf; do
	lab_run "$host" punchctl doctor --json >"$LAB_DIR/doctor"
	lab_expect "$host: mapped" lab_poll 20 "mapped $host"
done
# Another host of the link announces it
lab_ip nat-pcp addr add 192.168.1.9/24 dev lan
lab_run nat-pcp python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.168.1.9", 0))
s.sendto(bytes([2, 128]) + bytes(22), ("192.168.1.2", 5350))'
# And the gateway itself says it, but with a clock that goes on: a NAT-PMP answer holds it. Nothing is lost
lab_run nat-pcp python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.168.1.1", 0))
s.sendto(bytes(2), ("192.168.1.1", 5351))
s.settimeout(5)
answer = s.recv(100)
assert answer[:4] == b"\0\x80\0\0", answer
s.sendto(answer, ("192.168.1.2", 5350))
s.sendto(bytes([2, 128]) + bytes(6) + answer[4:8] + bytes(12), ("192.168.1.2", 5350))'

# A restart within four seconds of the first answer would not be told from a rounded clock
sleep 5
lab_expect 'nobody but the gateway is believed' eval '! grep -q "began anew" "$PUNCH_LOG_FILE"'
# Twenty forged announcements a second, each of which says that all is lost
before=$(grep -c 'began anew' "$PUNCH_LOG_FILE")
SECONDS=0
lab_run nat-pcp python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.168.1.1", 0))
for _ in range(60):
    s.sendto(bytes([2, 128]) + bytes(22), ("192.168.1.2", 5350))
    time.sleep(0.05)'
flood() { echo $(($(grep -c 'began anew' "$PUNCH_LOG_FILE") - before)); }
lab_expect 'a forged announcement is heard' lab_poll 5 '[ "$(flood)" -gt 0 ]'
lab_expect 'a flood of forged announcements brings a few renewals' [ "$(flood)" -le $((2 + (SECONDS + 1) / 5)) ]

for host in pcp nat-pmp pcp6 deaf; do
	gateway_lose "nat-$host"
	lab_expect "$host: not mapped any more" eval '! mapped $host'
done
for host in pcp nat-pmp pcp6 deaf; do
	gateway_start "nat-$host"
	declare "since_$host=${EPOCHREALTIME/./}" 2>/dev/null || since_natpmp=${EPOCHREALTIME/./}
done
for host in pcp nat-pmp pcp6; do
	lab_expect "$host: mapped again, as it announced" lab_poll 25 "mapped $host"
	since=since_${host/-/}
	lab_note "$host: after $(((${EPOCHREALTIME/./} - ${!since}) / 1000)) ms"
done
lab_expect 'deaf: not yet' eval '! mapped deaf'
lab_expect 'deaf: mapped again at half of the lease' lab_poll 70 'mapped deaf'
lab_note "deaf: after $(((${EPOCHREALTIME/./} - since_deaf) / 1000)) ms"

# UPnP: the restarted gateway has another HTTP port; whoever renews looks for it again. A mapper without a resolver, which renews when told
lab_nat nat-upnp 45.67.89.9 kernel delay=5ms
lab_host upnp nat-upnp 192.168.1.2
gateway_real nat-upnp enable_upnp=yes enable_natpmp=no
cat >"$LAB_DIR/tell.py" <<'PYTHON'
import os, socket, sys
ours, link = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
if not os.fork():
    os.dup2(link.fileno(), 3)
    os.execvp("punch-resolver", ["punch-resolver", "--mapper", "8,12345"])
link.close()
print("reported", len(ours.recv(200)), flush=True)
for line in sys.stdin:
    ours.send(b"x")
PYTHON
mkfifo "$LAB_DIR/tell"
exec {tell}<>"$LAB_DIR/tell"
lab_bg upnp tell sh -c "exec python3 '$LAB_DIR/tell.py' <'$LAB_DIR/tell'"
lab_wait_log tell reported
mapped_upnp() { gateway_chains nat-upnp | grep -q 'dport 12345'; }
lab_expect 'upnp: mapped' mapped_upnp
gateway_lose nat-upnp
sed -i 's/^port=5000/port=5001/' "$LAB_DIR/ctl/nat-upnp.miniupnpd"
gateway_start nat-upnp
lab_expect 'upnp: not mapped any more' eval '! mapped_upnp'
echo >&$tell
lab_expect 'upnp: renewed at another HTTP port' lab_poll 15 mapped_upnp

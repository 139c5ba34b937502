#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 200
# parallel: yes
#
# A pinhole in a gateway's IPv6 firewall, got from a real miniupnpd by PCP and by UPnP: between two firewalls that let no
# SYN in at all, and two NATs with random ports, which nothing else opens, it is direct.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
. "$(dirname "$0")/gateway.sh"
lab_begin "$@"
[ -x /usr/sbin/miniupnpd ] || lab_skip 'no miniupnpd here'
punch_debug
lab_internet
lab_server rdv 203.0.113.10
punch_servers

# site HOST N [SETTING...]: a host behind a gateway of its own
site() {
	local host=$1 n=$2
	shift 2
	lab_nat "nat-$host" "45.67.89.$n" kernel fully-random delay=10ms
	lab_host "$host" "nat-$host" 192.168.1.2
	gateway_ipv6 "nat-$host" "2a02:db8:$n" "$host"
	[ $# = 0 ] || gateway_real "nat-$host" enable_upnp=yes enable_natpmp=no ext_ifname6=wan6 "$@"
}
PUNCH_PEERS='bob pcp upnp none'
# No IPv4: PCP is not heard there (enable_natpmp), and UPnP is refused. Debian's miniupnpd hears PCP over IPv6 all the same
site pcp 1 max_lifetime=121 'deny 0-65535 0.0.0.0/0 0-65535'
site upnp 2 'deny 0-65535 0.0.0.0/0 0-65535'
site none 3 'deny 0-65535 0.0.0.0/0 0-65535'
site bob 4
for host in pcp upnp none; do
	punch_conf "$host"
	sed -i "s/^name = .*/&\nport-mapping = ${host/none/no}/" "$(punch_dir "$host")/punch.conf"
done
punch_conf bob $'[service echo]\nport = 9000'
lab_bg bob echo punch socat TCP6-LISTEN:9000,fork,reuseaddr EXEC:cat
punch_published bob 9000

pinholes() { [ "$(gateway_pinholes "nat-$1")" = "$2" ]; }
granted() { [ "$(grep -c "mapper: $1 for IPv6, .*granted" "$PUNCH_LOG_FILE")" -ge "$2" ]; }

# from HOST PATH: bytes go there and back, and the path they took
from() {
	lab_expect_eq "$1: bytes pass" "$(echo hello | lab_run "$1" timeout 20 punch nc -6 -N -w 15 bob 9000)" hello
	lab_expect_eq "$1: path" "$(punch_last_path "$1")" "$2"
}

for host in pcp upnp; do
	lab_run "$host" punchctl doctor --json >"$LAB_DIR/doctor"
	lab_expect "$host: the pinhole is there" lab_poll 20 "pinholes $host 1"
	lab_expect_eq "$host: doctor" "$(lab_run "$host" punchctl doctor --json | jq -r '.ipv6 | "\(.pinhole) \(.mapped)"' |
		sed 's/:[0-9]*$//')" "$host [$(lab_run "$host" ip -br -6 addr show eth0 scope global | grep -o '2a02[^/]*')]"
	lab_expect "$host: the mapper is confined" punch_confined "$host" punch-mapper
	from "$host" direct
	lab_expect_match "$host: by IPv6" "$(punch_remote "$host")" '^\[2a02:db8:4::2\]:'
done
lab_expect_eq 'bob came to the pinholes' "$(grep -c 'attempt mapped \[2a02.*-> established' "$PUNCH_LOG_FILE")" 2

# --- and without it nothing opens these two
from none relay
lab_expect_eq 'none: the gateway was not asked' "$(gateway_pinholes nat-none)" 0

# --- closed again. (This miniupnpd forgets the nonce of a PCP pinhole that was renewed, and lets it end with its lease)
lab_run pcp punchctl stop
lab_expect 'pcp: closed when the resolver leaves' lab_poll 15 'pinholes pcp 0'
lab_run pcp punchctl doctor --json >"$LAB_DIR/doctor"
lab_expect 'pcp: and opened anew' lab_poll 20 'pinholes pcp 1'

# --- renewed: at half of the lease, or when the connection to the rendezvous was interrupted; one pinhole all the time
began=$SECONDS
lab_poll 70 '[ $((SECONDS - began)) -ge 62 ]'
lab_expect 'pcp: renewed' lab_poll 30 'granted PCP 3'
lab_stop rendezvous
punch_servers
lab_expect 'upnp: renewed' lab_poll 30 'granted UPnP 2'
for host in pcp upnp; do lab_expect "$host: one pinhole" pinholes "$host" 1; done
lab_run upnp punchctl stop
lab_expect 'upnp: closed when the resolver leaves' lab_poll 15 'pinholes upnp 0'

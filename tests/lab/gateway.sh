# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Gateways that open ports on request; source it after lab.sh.
#
# gateway_real NAT [SETTING=VALUE...]	a real miniupnpd on a kernel NAT; settings of miniupnpd.conf
# gateway_lose NAT			it is switched off: its table is gone
# gateway_start NAT			and on again
# gateway_ipv6 NAT PREFIX HOST		IPv6 for a host behind a kernel NAT (PREFIX::2), through a firewall that lets no SYN in
# gateway_chains NAT			what its firewall passes on (nft)
# gateway_pinholes NAT			how many ports of IPv6 hosts it lets everybody reach

# shellcheck disable=SC2154

# Its external address must be a public one in miniupnpd's eyes: not of a documentation prefix.
gateway_real() {
	local nat=$1 conf=$LAB_DIR/ctl/$1.miniupnpd setting
	shift
	lab_do nsenter -t "${LAB_PID[$nat]}" --net nft -f - <<-'NFT'
		table inet gateway {
			chain forward { type filter hook forward priority -1; jump opened; }
			chain opened { }
			chain pre { type nat hook prerouting priority dstnat; jump redirected; }
			chain redirected { }
			chain post { }
		}
		insert rule ip lab forward iifname wan ct status dnat accept
	NFT
	{
		printf '%s\n' ext_ifname=wan listening_ip=lan "port=5000" system_uptime=no secure_mode=yes \
			upnp_table_name=gateway upnp_nat_table_name=gateway upnp_forward_chain=opened \
			upnp_nat_chain=redirected upnp_nat_postrouting_chain=post \
			uuid=00000000-0000-0000-0000-000000000001 min_lifetime=120 max_lifetime=86400
		for setting; do printf '%s\n' "$setting"; done
		printf '%s\n' 'allow 1024-65535 192.168.0.0/16 1024-65535' 'deny 0-65535 0.0.0.0/0 0-65535'
	} >"$conf"
	gateway_start "$nat"
}

gateway_start() {
	: >"$(lab_log "miniupnpd-$1")"
	lab_bg "$1" "miniupnpd-$1" miniupnpd -d -f "$LAB_DIR/ctl/$1.miniupnpd" -P "$LAB_DIR/ctl/$1.pid"
	lab_wait_log "miniupnpd-$1" '(HTTP listening on port|Listening for NAT-PMP)'
}

gateway_lose() {
	local chain
	lab_kill "miniupnpd-$1" KILL
	wait "${LAB_BGPID[miniupnpd-$1]}" 2>/dev/null
	for chain in opened redirected post; do
		lab_do nsenter -t "${LAB_PID[$1]}" --net nft flush chain inet gateway "$chain"
	done
}

gateway_chains() { nsenter -t "${LAB_PID[$1]}" --net nft list chain inet gateway redirected; }

# Not even a SYN that meets one of ours: no simultaneous open
gateway_ipv6() {
	local nat=$1 prefix=$2 host=$3 dev
	lab_do ip link add "$nat-6" netns "${LAB_PID[inet]}" type veth peer name wan6 netns "${LAB_PID[$nat]}"
	# In this order: miniupnpd leaves it to the kernel where multicast goes. No link-local address but fe80::1
	for dev in lan wan6; do
		lab_ip "$nat" link set dev "$dev" addrgenmode none
		lab_ipv6 "$nat" "$dev"
	done
	lab_ipv6 inet "$nat-6"
	lab_ipv6 "$host" eth0
	lab_ip inet addr add fe80::1/64 dev "$nat-6" nodad
	lab_ip inet link set "$nat-6" up
	lab_ip "$nat" addr add fe80::2/64 dev wan6 nodad
	lab_ip "$nat" link set wan6 up
	lab_ip "$nat" addr add fe80::1/64 dev lan nodad
	lab_ip "$nat" addr add "$prefix::1/64" dev lan nodad
	lab_ip "$host" addr add "$prefix::2/64" dev eth0 nodad
	lab_ip inet -6 route add "$prefix::/64" via fe80::2 dev "$nat-6"
	lab_ip "$nat" -6 route add default via fe80::1 dev wan6
	lab_ip "$host" -6 route add default via fe80::1 dev eth0
	lab_do nsenter -t "${LAB_PID[$nat]}" --net nft -f - <<-'NFT'
		table inet gateway {
			chain opened { }
			chain forward6 {
				type filter hook forward priority 0;
				meta nfproto ipv4 accept
				jump opened
				iifname wan6 tcp flags & (syn | ack) == syn drop
				ct state established,related accept
				iifname wan6 drop
			}
		}
	NFT
}

gateway_pinholes() { nsenter -t "${LAB_PID[$1]}" --net nft list chain inet gateway opened | grep -c 'wan6.*accept'; }

# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Gateways that open ports on request; source it after lab.sh.
#
# gateway_real NAT [SETTING=VALUE...]	a real miniupnpd on a kernel NAT; settings of miniupnpd.conf
# gateway_chains NAT			what its firewall passes on (nft)

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
		printf '%s\n' ext_ifname=wan listening_ip=lan "port=5000" system_uptime=yes secure_mode=yes \
			upnp_table_name=gateway upnp_nat_table_name=gateway upnp_forward_chain=opened \
			upnp_nat_chain=redirected upnp_nat_postrouting_chain=post \
			uuid=00000000-0000-0000-0000-000000000001 min_lifetime=120 max_lifetime=86400
		for setting; do printf '%s\n' "$setting"; done
		printf '%s\n' 'allow 1024-65535 192.168.0.0/16 1024-65535' 'deny 0-65535 0.0.0.0/0 0-65535'
	} >"$conf"
	lab_bg "$nat" "miniupnpd-$nat" miniupnpd -d -f "$conf" -P "$LAB_DIR/ctl/$nat.pid"
	lab_wait_log "miniupnpd-$nat" '(HTTP listening on port|Listening for NAT-PMP)'
}

gateway_chains() { nsenter -t "${LAB_PID[$1]}" --net nft list chain inet gateway redirected; }

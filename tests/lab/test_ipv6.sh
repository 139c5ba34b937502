#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 150
# parallel: yes
#
# IPv6 through firewalls on both sides, which let in what was asked for: opened like NATs. The IPv4 NATs give
# random ports on both sides, so that nothing else can be direct.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
lab_internet
lab_server rdv 203.0.113.10
random=(mapping=address-port port=random filtering=address-port delay=10ms)
lab_nat natA 198.51.100.1 "${random[@]}"
lab_nat natB 198.51.100.2 "${random[@]}" seed=9
lab_host alice natA 192.168.1.2 v6=2001:db8:a::2
lab_host bob natB 192.168.1.2 v6=2001:db8:b::2

# The kernel's connection tracking must know all connections from the start
strays() { # HOST VERDICT: what the host's own firewall does with a SYN that nobody asked for
	lab_run "$1" nft "flush chain inet host strays; add rule inet host strays meta l4proto tcp $2"
}
for host in alice bob; do
	lab_run $host nft -f - <<-RULES
		table inet host {
			chain strays { }
			chain in {
				type filter hook input priority filter;
				iifname lo accept
				ct state established,related accept
				jump strays
			}
		}
	RULES
	strays $host accept
done
punch_servers
punch_conf bob $'[service ssh]\nport = 22'
punch_conf alice
lab_bg bob echo punch socat -t 20 TCP6-LISTEN:22,fork,reuseaddr EXEC:cat
punch_published bob 22

call() { # NAME PATH
	lab_expect_eq "$1: bytes pass" "$(echo hello | lab_run alice timeout 20 punch nc -6 -N -w 15 bob 22)" hello
	lab_expect_eq "$1: path" "$(punch_last_path alice)" "${2:-direct}"
	[ "${2:-direct}" = relay ] || lab_expect_match "$1: address" "$(punch_remote alice)" '^\[2001:db8:b::2\]:'
	lab_note "$1: $(punch_status alice '.connections[-1].setup_ms') ms"
}
lab_expect 'the firewalls are there' lab_run alice sh -c '! nc -6 -z -w 1 2001:db8:b::2 22'
for strays in 'drop drop' 'rst rst' 'rst drop' 'drop rst' 'icmp-admin icmp-admin'; do
	read -r a b <<<"$strays"
	lab_set natA stray=$a
	lab_set natB stray=$b
	call "IPv6, firewalls $a/$b"
done
lab_expect_eq 'an IPv4 program does without' \
	"$(echo hello | lab_run alice timeout 20 punch nc -4 -N -w 15 bob 22; punch_last_path alice)" $'hello\nrelay'

# --- the kernel's firewall on each host besides
for verdict in drop 'reject with tcp reset'; do
	strays alice "$verdict"
	strays bob "$verdict"
	call "IPv6, nftables on both hosts, $verdict"
done
# --- and where one of them lets nothing in at all, the relay is there
lab_run bob nft insert rule inet host in ip6 saddr 2001:db8:a::2 drop
call 'IPv6, nothing let in' relay

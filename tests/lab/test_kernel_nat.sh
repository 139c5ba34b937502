#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 200
#
# The same through the kernel's own NAT (nftables masquerade).
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
lab_internet
lab_server rdv 203.0.113.10
i=0
punch_servers
for strays in 'drop drop' 'rst rst' 'drop rst'; do
	read -r a b <<<"$strays"
	i=$((i + 1))
	lab_nat "natA$i" "198.51.100.$((2 * i))" kernel stray="$a" delay=25ms
	lab_nat "natB$i" "198.51.100.$((2 * i + 1))" kernel stray="$b" delay=25ms
	lab_host "alice$i" "natA$i" 192.168.1.2
	lab_host "bob$i" "natB$i" 192.168.1.2
	PUNCH_PEERS="alice$i bob$i"
	punch_conf "bob$i" $'[service echo]\nport = 9000'
	punch_conf "alice$i"
	lab_bg "bob$i" "echo$i" punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
	punch_published "bob$i" 9000
	lab_expect_eq "kernel NATs $a/$b: bytes pass" \
		"$(echo hello | lab_run "alice$i" timeout 20 punch nc -N -w 10 "bob$i" 9000)" hello
	lab_expect_eq "kernel NATs $a/$b: direct" "$(punch_last_path "alice$i")" direct
done
# Two that give random ports: relayed
lab_nat natA9 198.51.100.20 kernel fully-random delay=25ms
lab_nat natB9 198.51.100.21 kernel fully-random delay=25ms
lab_host alice9 natA9 192.168.1.2
lab_host bob9 natB9 192.168.1.2
PUNCH_PEERS='alice9 bob9'
punch_conf bob9 $'[service echo]\nport = 9000'
punch_conf alice9
lab_bg bob9 echo9 punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
punch_published bob9 9000
lab_expect_eq 'kernel NATs with random ports: bytes pass' \
	"$(echo hello | lab_run alice9 timeout 20 punch nc -N -w 10 bob9 9000)" hello
lab_expect_eq 'kernel NATs with random ports: relayed' "$(punch_last_path alice9)" relay

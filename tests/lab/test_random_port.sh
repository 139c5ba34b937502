#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 240
#
# A NAT that gives another port to each destination, against one that does not: held sockets and guesses.
# Two such NATs whose ports are not quite random: sockets that meet.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
lab_internet
lab_server rdv 203.0.113.10
punch_servers
n=0
# pair NAME A-NAT-OPTIONS -- B-NAT-OPTIONS: makes alice and bob anew, behind NATs of their own. SYNs of
# a whole try are at most BUDGET_SESSION, and once more those held when the kernel repeats them. Where
# the first wave of 240 is sure to hit, no second one may follow: then there are the plain attempts and
# the probes beside it
MOST=$((2560 + 240))
ONE_WAVE=$((240 + 60))
pair() {
	local name=$1 a=() b=() side syns
	shift
	while [ "$1" != -- ]; do
		a+=("$1")
		shift
	done
	shift
	b=("$@")
	[[ "${b[*]}" = *filtering=* ]] || b+=(filtering=address-port)
	n=$((n + 1))
	lab_nat "natA$n" "198.51.100.$((2 * n))" filtering=address-port delay=10ms "${a[@]}"
	lab_nat "natB$n" "198.51.100.$((2 * n + 1))" delay=10ms "${b[@]}"
	lab_host "alice$n" "natA$n" 192.168.1.2
	lab_host "bob$n" "natB$n" 192.168.1.2
	PUNCH_PEERS="alice$n bob$n"
	punch_conf "bob$n" $'[service echo]\nport = 9000'
	punch_conf "alice$n"
	lab_bg "bob$n" "echo$n" punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
	punch_published "bob$n" 9000
	[ -z "${studied:-}" ] || lab_expect_eq "$name: doctor" \
		"$(lab_run "alice$n" punchctl doctor --json | jq -r .nat.port_rule)" "$studied"
	lab_expect_eq "$name: bytes pass" "$(echo hello | lab_run "alice$n" timeout 20 punch nc -N -w 15 "bob$n" 9000)" hello
	lab_expect_match "$name: $(punch_last_path "alice$n")" "$(punch_last_path "alice$n")" "^(${path:-direct})$"
	for side in "natA$n" "natB$n"; do
		syns=$(lab_nat_syns "$side")
		lab_expect "$name: $syns SYNs through $side" test "$syns" -le "${most:-$MOST}"
	done
	lab_note "$name: set up in $(punch_status "alice$n" '.connections[-1].setup_ms') ms"
}
# The chance to miss with all guesses is 0.03 %
pair 'caller random' mapping=address-port port=random -- port=preserve
pair 'callee random' port=preserve -- mapping=address-port port=random
pair 'callee random, caller answers with RST' port=preserve stray=rst -- mapping=address-port port=random
pair 'caller random, callee answers with RST' mapping=address-port port=random -- port=preserve stray=rst
most=$ONE_WAVE pair 'callee sequential' port=preserve -- mapping=address-port port=sequential:5
most=$ONE_WAVE pair 'caller out of a block of 512' mapping=address-port port=block:512 -- port=preserve
most=$ONE_WAVE pair 'callee out of a block of 128, which must not be used up' port=preserve -- mapping=address-port port=block:128

# A NAT that keeps the parity of local ports: no port of the other parity is guessed
studied=parity pair 'caller keeps the parity' mapping=address-port port=parity -- port=preserve
guesses() { # the last digits of the ports that were guessed and not held
	grep -oE "drop in tcp 198\.51\.100\.$((2 * n + 1)):[0-9]+ > [0-9.]+:[0-9]+ S" "$(lab_log "nat-natA$n")" |
		sed 's/.*\(.\) S/\1/'
}
odd=$(guesses | grep -c '[13579]') even=$(guesses | grep -c '[02468]')
lab_expect "caller keeps the parity: $odd odd and $even even guesses" test $((odd + even)) -gt 200 -a $((odd * even)) = 0
lab_expect 'caller keeps the parity: as many ports are held as of any random NAT' test "$(lab_nat_syns "natA$n")" -ge 240

again() { # NAME: once more
	lab_expect_eq "$1: bytes pass" "$(echo hello | lab_run "alice$n" timeout 20 punch nc -N -w 15 "bob$n" 9000)" hello
}

# --- both give another port to each destination
most=$ONE_WAVE pair 'both sequential' mapping=address-port port=sequential:5 -- mapping=address-port port=sequential:2 seed=9
again 'both sequential, again'
lab_expect_eq 'both sequential, again: direct' "$(punch_last_path "alice$n")" direct
path=relay pair 'random, sequential' mapping=address-port port=random -- mapping=address-port port=sequential:2
# Three quarters of each block at most, and not again before the NAT has forgotten: whether the two meet is chance
path='direct|relay' pair 'both out of a block of 128' mapping=address-port port=block:128 -- mapping=address-port port=block:128 seed=9
again 'both out of a block, again'
lab_expect_eq 'both out of a block, again: relayed' "$(punch_last_path "alice$n")" relay
lab_expect_match 'punchctl doctor tells the block, and that it is in use' "$(lab_run "alice$n" punchctl doctor)" \
	'NAT ports +block: each connection gets any number of about [0-9]+, [0-9]+-[0-9]+; many of them are still taken'
for side in "natA$n" "natB$n"; do
	taken=$("$LAB_BUILD/lab/nat" --ctl "${LAB_CTL[$side]}" --do mappings | sed 's/^ok //')
	lab_expect "blocks of 128: $taken ports taken at $side" test "$taken" -gt 30 -a "$taken" -lt 125
done

# --- and where one side does not want it, the relay is taken without waiting
pair 'callee passes only SYN-ACK' mapping=address-port port=random -- port=preserve filtering=synack
sed -i 's/^name = .*/&\naggressive = no/' "$(punch_dir "alice$n")/punch.conf"
lab_run "alice$n" punchctl stop
before=$(($(lab_nat_syns "natA$n") + $(lab_nat_syns "natB$n")))
echo hello | lab_run "alice$n" timeout 20 punch nc -N -w 15 "bob$n" 9000 >/dev/null
lab_expect_eq 'aggressive = no: relayed' "$(punch_last_path "alice$n")" relay
syns=$(($(lab_nat_syns "natA$n") + $(lab_nat_syns "natB$n") - before))
lab_expect "aggressive = no: no more than the plain attempts, $syns SYNs" test "$syns" -le 40

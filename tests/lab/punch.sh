# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What scenarios with punch have in common; source it after lab.sh.
#
# punch_net A-NAT-OPTIONS -- B-NAT-OPTIONS	inet, rdv, natA with alice, natB with bob
# punch_servers [FILE]		rendezvous with its relay on rdv; its key in $PUNCH_SERVER_KEY
# punch_conf HOST [EXTRA]	~/.config/punch/punch.conf of alice or bob, who know each other
# punch_sshd HOST [punch|plain]	a real sshd there, and a key that may log in; ssh options in $PUNCH_SSH
# punch_status HOST JQ		a value out of `punchctl status --json`
# punch_last_path HOST		path of the newest outgoing connection: direct, lan or relay
# punch_remote HOST		address of its far end

PUNCH_PEERS='alice bob carol'

punch_net() {
	local a=() b=()
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		a+=("$1")
		shift
	done
	shift
	b=("$@")
	lab_internet
	lab_server rdv 203.0.113.10
	lab_nat natA 198.51.100.1 "${a[@]}"
	lab_nat natB 198.51.100.2 "${b[@]}"
	lab_host alice natA 192.168.1.2
	lab_host bob natB 192.168.1.2
}

punch_servers() {
	local options=()
	[ $# = 0 ] || options=(-c "$1")
	lab_bg rdv rendezvous env PUNCH_LOG=info punch-rendezvous "${options[@]}"
	lab_wait_port rdv 4430
	lab_wait_port rdv 4433
	lab_wait_log rendezvous 'rendezvous-key'
	PUNCH_SERVER_KEY=$(sed -n 's/.*rendezvous-key *= *\([A-Za-z0-9+/=]*\).*/\1/p' "$(lab_log rendezvous)" | head -n 1)
}

# The folder of a host's configuration.
punch_dir() { printf '%s' "$LAB_DIR/host/$1/home/.config/punch"; }

punch_key() { # HOST: its public key, made when missing
	local dir
	dir=$(punch_dir "$1")
	mkdir -p "$dir"
	[ -f "$dir/node.pub" ] || lab_run "$1" punchctl keygen "$dir/node.key" >"$dir/node.pub" ||
		lab_die "punchctl keygen fails"
	cat "$dir/node.pub"
}

punch_conf() {
	local host=$1 extra=${2:-} peer dir
	dir=$(punch_dir "$host")
	punch_key "$host" >/dev/null
	{
		printf '[node]\nname = %s\nkey = node.key\nrendezvous = rdv\n' "$host"
		[ -z "${PUNCH_SERVER_KEY:-}" ] || printf 'rendezvous-key = %s\n' "$PUNCH_SERVER_KEY"
		for peer in $PUNCH_PEERS; do
			[ "$peer" != "$host" ] && [ -n "${LAB_PID[$peer]:-}" ] || continue
			printf '\n[peer %s]\nkey = %s\n' "$peer" "$(punch_key "$peer")"
		done
		printf '%s\n' "$extra"
	} >"$dir/punch.conf"
}

punch_sshd() {
	local host=$1 dir=$LAB_DIR/host/$1/sshd run=(punch)
	[ "${2:-punch}" = punch ] || run=()
	mkdir -p "$dir"
	[ -f "$dir/host_key" ] || {
		ssh-keygen -q -t ed25519 -N '' -f "$dir/host_key"
		ssh-keygen -q -t ed25519 -N '' -f "$LAB_DIR/ssh_key"
	}
	cp "$LAB_DIR/ssh_key.pub" "$dir/authorized_keys"
	printf '%s\n' "HostKey $dir/host_key" "AuthorizedKeysFile $dir/authorized_keys" 'StrictModes no' \
		'UsePAM no' 'PermitRootLogin yes' 'PidFile none' 'Subsystem sftp internal-sftp' \
		'ListenAddress 0.0.0.0' 'MaxStartups 300' >"$dir/sshd_config"
	lab_bg "$host" sshd "${run[@]}" /usr/sbin/sshd -D -e -f "$dir/sshd_config"
	lab_wait_port "$host" 22
	PUNCH_SSH=(-i "$LAB_DIR/ssh_key" -o BatchMode=yes -o StrictHostKeyChecking=no
		-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR)
}

punch_status() { lab_run "$1" punchctl status --json | jq -r "$2"; }

punch_last_path() { punch_status "$1" '[.connections[] | select(.direction == "out")] | last | .path // "none"'; }
punch_remote() { punch_status "$1" '[.connections[] | select(.direction == "out")] | last | .remote // "none"'; }

# punch_published HOST PORT: wait until that port is published and the rendezvous knows
punch_published() {
	lab_wait 20 "[ \"\$(punch_status $1 '[.services[] | select(.port == $2)] | length' 2>/dev/null)\" = 1 ] &&
		[ \"\$(punch_status $1 '.rendezvous[0].state' 2>/dev/null)\" = ready ]"
}

# punch_dump: what the resolvers said, into the lab's logs
punch_debug() { export PUNCH_LOG=debug PUNCH_LOG_FILE=$LAB_DIR/log/punch.log; }

# process_field PID NAME: of /proc/PID/status, empty where the kernel has none of that name.
process_field() { awk -v name="$2:" '$1 == name { print $2 }' "/proc/$1/status"; }

# punch_filters HOST: how many seccomp filters its resolvers have at most; empty where the kernel does not count them.
punch_filters() {
	local pid
	for pid in $(pgrep --ns "${LAB_PID[$1]}" --nslist net -x punch-resolver); do
		process_field "$pid" Seccomp_filters
	done | sort -n | tail -n 1
}

# punch_confined HOST NAME: there are processes of that name, and each is in its sandbox. What a resolver starts is in
# the resolver's already: in a narrower one of its own it has more filters, and no capabilities.
punch_confined() {
	local pids pid filters
	grep -q __asan_init "$LAB_BUILD/punch-resolver" && return 0	# the leak checker would not work in there
	pids=$(pgrep --ns "${LAB_PID[$1]}" --nslist net -x "$2") || return 1
	filters=$(punch_filters "$1")
	for pid in $pids; do
		[ "$(process_field "$pid" NoNewPrivs) $(process_field "$pid" Seccomp)" = '1 2' ] || return 1
		[ "$(awk '/^Max core file size/ { print $5, $6 }' "/proc/$pid/limits")" = '0 0' ] || return 1
		case $2 in punch-pump | punch-mapper | punch-porter)
			[ "$(process_field "$pid" CapEff)" = 0000000000000000 ] || return 1
			[ -z "$filters" ] || [ "$(process_field "$pid" Seccomp_filters)" -gt "$filters" ] || return 1
			;;
		esac
	done
}

# punch_bare HOST NAME: there are processes of that name, and none has more in its environment than it reads.
punch_bare() {
	local pids pid
	pids=$(pgrep --ns "${LAB_PID[$1]}" --nslist net -x "$2") || return 1
	for pid in $pids; do
		tr '\0' '\n' <"/proc/$pid/environ" |
			grep -qvE '^((PUNCH_LOG|PUNCH_LOG_FILE|PUNCH_KTLS|LD_LIBRARY_PATH|OPENSSL_[A-Za-z_]+)=|$)' && return 1
	done
	return 0
}

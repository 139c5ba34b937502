# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The lab: hosts, NATs and an Internet in network namespaces, as a library for scenarios in bash.
#
#	. tests/lab/lab.sh
#	lab_begin "$@"
#	lab_internet
#	lab_server rdv 203.0.113.10
#	lab_nat natA 198.51.100.1 mapping=endpoint filtering=address-port stray=drop delay=25ms
#	lab_nat natB 198.51.100.2 kernel stray=rst
#	lab_host alice natA 192.168.1.2
#	lab_host bob natB 192.168.1.2
#	lab_bg bob web python3 -m http.server 8000
#	lab_wait_port bob 8000
#	lab_expect 'bob serves itself' lab_run bob curl -s http://127.0.0.1:8000/
#
# How it is built: lab_begin runs the script again in user (if not root), mount, network and PID
# namespaces of its own; when it ends, the kernel ends every process and removes every file and
# interface. A lab host is a namespace held by a sleeping process. A box of the lab's own NAT
# (build/lab/nat) puts a TUN into the namespace of each host behind it, and one into `inet`, the
# router in the middle. So a packet's hops are: its NAT, `inet` (203.0.113.254), the other NAT.
#
# Topology		lab_internet, lab_server, lab_nat, lab_host, lab_lan (see lab_topology.sh)
# Processes		lab_run, lab_bg, lab_stop, lab_kill, lab_running, lab_log
# Waiting		lab_wait, lab_wait_port, lab_wait_log
# Results		lab_pass, lab_fail, lab_skip, lab_note, lab_expect, lab_expect_eq, lab_expect_match
#
# LAB_FIRST is a folder whose programs go before the build's.
# Set LAB_KEEP to a folder to have the logs copied there, LAB_VERBOSE=1 to see commands.

LAB_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB_BUILD=${LAB_BUILD:-$LAB_SRC/build}
LAB_DIR=
LAB_FAILED=0
LAB_PASSED=0
LAB_TEST=$(basename "$0" .sh)
declare -A LAB_PID LAB_BGPID LAB_CTL LAB_KIND LAB_ADDR LAB_GW

# --- results -----------------------------------------------------------------------------------

lab_note() { printf '# %s\n' "$*"; }

lab_pass() {
	LAB_PASSED=$((LAB_PASSED + 1))
	printf 'ok - %s\n' "$1"
}

# lab_fail NAME [WHY]: a case failed; the script goes on and exits 1 at its end.
lab_fail() {
	LAB_FAILED=$((LAB_FAILED + 1))
	printf 'not ok - %s\n' "$1"
	[ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/#   /'
	lab_dump
}

# lab_skip WHY: nothing (more) of this script can run here. lab_skip NAME WHY: one case cannot.
lab_skip() {
	if [ $# -ge 2 ]; then
		printf 'SKIP %s: %s\n' "$1" "$2"
		return
	fi
	printf 'SKIP %s: %s\n' "$LAB_TEST" "$1"
	[ "$LAB_FAILED" = 0 ] || exit 1
	exit 77
}

# lab_die WHY: the lab itself is broken.
lab_die() {
	lab_fail "lab" "$*"
	exit 1
}

# lab_expect NAME COMMAND...: passes if the command succeeds; its output is shown if not.
lab_expect() {
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then
		lab_pass "$name"
	else
		lab_fail "$name" "exit $? from: $*"$'\n'"$out"
	fi
}

lab_expect_eq() { # NAME GOT WANTED
	if [ "$2" = "$3" ]; then
		lab_pass "$1"
	else
		lab_fail "$1" "got \"$2\", wanted \"$3\""
	fi
}

lab_expect_match() { # NAME GOT EXTENDED-REGEX
	if [[ $2 =~ $3 ]]; then
		lab_pass "$1"
	else
		lab_fail "$1" "got \"$2\", wanted a match of \"$3\""
	fi
}

# The tails of all logs, as comments.
lab_dump() {
	local f
	[ -n "$LAB_DIR" ] || return 0
	for f in "$LAB_DIR"/log/*; do
		[ -s "$f" ] || continue
		printf '# --- %s\n' "${f##*/}"
		tail -n "${LAB_TAIL:-20}" "$f" | cut -c 1-240 | sed 's/^/#   /'
	done
}

# --- begin and end -----------------------------------------------------------------------------

lab_begin() {
	local flags=(--mount --net --pid --ipc --fork --kill-child --mount-proc) place
	[ "$(id -u)" = 0 ] || flags+=(--user --map-root-user)
	if [ -z "${LAB_INNER:-}" ]; then
		unshare "${flags[@]}" true 2>/dev/null || lab_skip "no namespaces here: unshare ${flags[*]} fails"
		LAB_INNER=1 exec unshare "${flags[@]}" "$BASH" "$0" "$@"
	fi
	unset LAB_INNER
	[ -f /etc/hosts ] || lab_skip 'there is no /etc/hosts, which a host of the lab could have one of its own in place of'
	for place in /mnt /srv /media /opt; do
		case $LAB_SRC/ in "$place"/*) continue ;; esac
		mount -t tmpfs -o mode=755 lab "$place" 2>/dev/null && LAB_DIR=$place/lab && break
	done
	[ -n "$LAB_DIR" ] || lab_skip "cannot mount a tmpfs"
	mkdir -p "$LAB_DIR"/{log,ctl,host}
	trap lab_at_exit EXIT
	trap 'exit 143' TERM INT HUP
	mkfifo "$LAB_DIR/nap" && exec {LAB_NAP}<>"$LAB_DIR/nap"
	printf '127.0.0.1 localhost\n::1 localhost\n' >"$LAB_DIR/hosts"
	printf 'nameserver 127.0.0.1\noptions attempts:1 timeout:1\n' >"$LAB_DIR/resolv.conf"
	[ -x "$LAB_BUILD/lab/nat" ] || lab_die "$LAB_BUILD/lab/nat is missing: run make tests-build"
	{ true <>/dev/net/tun; } 2>/dev/null || lab_skip "/dev/net/tun cannot be opened"
	# shellcheck source=tests/lab/lab_topology.sh
	. "$LAB_SRC/tests/lab/lab_topology.sh"
}

lab_at_exit() {
	local status=$?
	[ "$status" = 0 ] || [ "$status" = 77 ] || [ "$LAB_FAILED" -gt 0 ] || lab_dump
	[ -z "${LAB_KEEP:-}" ] || { mkdir -p "$LAB_KEEP" && cp -r "$LAB_DIR/log/." "$LAB_KEEP/"; }
	[ "$LAB_FAILED" = 0 ] || exit 1
	exit "$status"
}

# lab_do COMMAND...: a step of building the lab; it must work.
lab_do() {
	local out
	[ -z "${LAB_VERBOSE:-}" ] || printf '# + %s\n' "$*"
	out=$("$@" 2>&1) || lab_die "$*: $out"
}

# --- processes ---------------------------------------------------------------------------------

# What a shell must put before a command to run it on a host: LAB_ENTER.
lab_enter() {
	local home=$LAB_DIR/host/$1
	[ -n "${LAB_PID[$1]:-}" ] || lab_die "no host \"$1\""
	LAB_ENTER=(nsenter -t "${LAB_PID[$1]}" --net --mount env --chdir="$PWD" -u XDG_CONFIG_HOME
		HOME="$home/home" XDG_RUNTIME_DIR="$home/xdg" LAB_HOST="$1"
		PATH="${LAB_FIRST:+$LAB_FIRST:}$LAB_BUILD:$LAB_BUILD/lab:$PATH")
}

# lab_run HOST COMMAND...: run it there, in the foreground.
lab_run() {
	local host=$1 LAB_ENTER
	shift
	lab_enter "$host"
	"${LAB_ENTER[@]}" "$@"
}

# lab_bg HOST NAME COMMAND...: run it there in the background; output in $(lab_log NAME).
lab_bg() {
	local host=$1 name=$2 LAB_ENTER
	shift 2
	lab_enter "$host"
	"${LAB_ENTER[@]}" "$@" </dev/null >>"$(lab_log "$name")" 2>&1 &
	LAB_BGPID[$name]=$!
}

lab_log() { printf '%s/log/%s.log' "$LAB_DIR" "$1"; }

lab_running() { kill -0 "${LAB_BGPID[$1]}" 2>/dev/null; }

# lab_kill NAME [SIGNAL]: send a signal to what lab_bg started.
lab_kill() { kill -s "${2:-TERM}" "${LAB_BGPID[$1]}" 2>/dev/null; }

# lab_stop NAME: end it (with force after 10 s) and return its exit status.
lab_stop() {
	local pid=${LAB_BGPID[$1]}
	lab_kill "$1" TERM
	lab_poll 10 "! kill -0 $pid 2>/dev/null" || kill -s KILL "$pid" 2>/dev/null
	unset "LAB_BGPID[$1]"
	wait "$pid" 2>/dev/null
}

# --- waiting -----------------------------------------------------------------------------------

# lab_poll SECONDS CONDITION: evaluate the condition until it is true; false on timeout.
lab_poll() {
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	until eval "$2"; do
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
		read -r -t 0.02 -u "$LAB_NAP" || true
	done
}

# lab_wait SECONDS CONDITION: the same, but the script ends if it never comes true.
lab_wait() { lab_poll "$1" "$2" || lab_die "not within $1 s: $2"; }

# lab_wait_port HOST PORT [SECONDS]: until something listens there.
lab_wait_port() {
	lab_wait "${3:-20}" "[ -n \"\$(nsenter -t ${LAB_PID[$1]} --net ss -Hltn 'sport = :$2')\" ]"
}

# lab_wait_log NAME EXTENDED-REGEX [SECONDS]: until the log of NAME has such a line.
lab_wait_log() { lab_wait "${3:-20}" "grep -qE -e '$2' '$(lab_log "$1")' 2>/dev/null"; }

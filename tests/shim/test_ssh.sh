#!/bin/bash
# SPDX-License-Identifier: MIT
# OpenSSH on both sides: it closes and renumbers descriptors, leaves connect() by timeout, and
# its server kills a child of itself that makes an unexpected system call
# parallel: yes
. "$(dirname "$0")/shim.sh"

[ "$(id -u)" = 0 ] || {
	echo "SKIP OpenSSH: its server wants root"
	exit 77
}
command -v ssh >/dev/null && [ -x /usr/sbin/sshd ] || {
	echo "SKIP OpenSSH: not installed"
	exit 77
}
mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f "$T/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$T/key"
cp "$T/key.pub" "$T/authorized_keys"
cat >"$T/sshd_config" <<CONF
HostKey $T/host_key
AuthorizedKeysFile $T/authorized_keys
StrictModes no
UsePAM no
UseDNS no
PermitRootLogin yes
PidFile $T/sshd.pid
ListenAddress 127.0.0.1:$SSH_PORT
Subsystem sftp internal-sftp
CONF
SSH=(-p "$SSH_PORT" -i "$T/key" -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null
	-o LogLevel=ERROR)

start strace -f -o "$T/trace" env LD_PRELOAD="$LIB/libpunch.so" /usr/sbin/sshd -D -e -f "$T/sshd_config" 2>"$T/sshd.log"
wait_for listens "$SSH_PORT" && wait_for test -s "$T/sshd.pid" || fail "sshd listens"
STARTED+=("$(cat "$T/sshd.pid")") # strace alone would leave it behind

# says EXPECTED CMD...
says() {
	local want=$1 said
	shift
	said=$("$@" 2>&1)
	[ "$said" = "$want" ] && return
	echo "said: $said"
	return 1
}

check "client" says hello under ssh "${SSH[@]}" bob echo hello
check "client with ConnectTimeout" says hello under ssh "${SSH[@]}" -o ConnectTimeout=5 bob echo hello
check "client, by IPv6" says hello under ssh "${SSH[@]}" -6 bob echo hello
check "scp" under scp -q -P "$SSH_PORT" "${SSH[@]:2}" "$T/sshd_config" "bob:$T/copy"
check "scp: the copy is right" cmp "$T/sshd_config" "$T/copy"
check "sftp" bash -c "echo 'ls $T' | env LD_PRELOAD='$LIB/libpunch.so' sftp -q -b - -P $SSH_PORT ${SSH[*]:2} bob >/dev/null"
command -v rsync >/dev/null && {
	mkdir "$T/big" && head -c 3000000 /dev/urandom >"$T/big/file"
	check "rsync" under rsync -a -e "ssh ${SSH[*]}" "$T/big/" "bob:$T/big2/"
	check "rsync: the copy is right" cmp "$T/big/file" "$T/big2/file"
}
command -v git >/dev/null && {
	git init -q --bare "$T/repo.git"
	check "git over ssh" under env GIT_SSH_COMMAND="ssh ${SSH[*]}" git ls-remote "root@bob:$T/repo.git"
}
timeout_is_kept() {
	local t0=${EPOCHREALTIME/./}
	! under ssh "${SSH[@]}" -o ConnectTimeout=1 never true 2>/dev/null && [ $((${EPOCHREALTIME/./} - t0)) -lt 1900000 ]
}
check "client gives up after its own ConnectTimeout" timeout_is_kept

export -n LD_PRELOAD
RING="env PUNCH_CONF=$PUNCH_CONF $DOUBLE ring bob %p"
check "server: a peer logs in" says hello ssh "${SSH[@]}" -o ProxyCommand="$RING" bob echo hello
shown() { # the peer's own address in the session's environment and in the log
	says 239.192.0.101 ssh "${SSH[@]}" -o ProxyCommand="$RING" bob 'echo ${SSH_CONNECTION%% *}' &&
		wait_for grep -q 'Accepted publickey for root from 239.192.0.101' "$T/sshd.log"
}
check "server: it sees the peer under its stand-in address" shown
check "server: a local client logs in" says 127.0.0.1 ssh "${SSH[@]}" 127.0.0.1 'echo ${SSH_CONNECTION%% *}'
check "server: nobody was killed by the sandbox" bash -c "! grep -qE -e '--- SIGSYS|killed by SIGSYS' '$T/trace'"
exit $status

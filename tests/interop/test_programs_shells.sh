#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 180
#
# What is done with shells: sshd's doors by name, tunnels, copies that go on where they broke off; bare streams.
. "$(dirname "$0")/../lab/lab.sh"
. "$(dirname "$0")/../lab/punch.sh"
. "$(dirname "$0")/programs.sh"
programs_begin "$@"

# --- sshd lets in who comes from "alice", and nobody who comes from elsewhere: it looks up names of addresses
ssh-keygen -q -t ed25519 -N '' -f "$W/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$W/key"
ssh-keygen -q -t ed25519 -N '' -f "$W/other"
printf '%s\n' "from=\"alice,127.0.0.1\" $(cat "$W/key.pub")" "from=\"mallory\" $(cat "$W/other.pub")" >"$W/keys"
printf '%s\n' "HostKey $W/host_key" "AuthorizedKeysFile $W/keys" 'StrictModes no' 'UsePAM no' 'UseDNS yes' \
	'PermitRootLogin yes' 'PidFile none' 'Subsystem sftp internal-sftp' >"$W/sshd_config"
printf 'bob %s\n' "$(cat "$W/host_key.pub")" >"$W/known_hosts"
cat >"$W/ssh_config" <<SSH
Host inner
	HostName 127.0.0.1
	HostKeyAlias bob
Host *
	BatchMode yes
	LogLevel ERROR
	ExitOnForwardFailure yes
	IdentitiesOnly yes
	IdentityFile $W/key
	UserKnownHostsFile $W/known_hosts
SSH
SSH="-F $W/ssh_config"
# A session at a terminal is entered in these; not in the machine's own
: >"$LAB_DIR/wtmp"
lab_run bob bash -c ': >/run/utmp; [ ! -e /var/log/wtmp ] || mount --bind "$1" /var/log/wtmp; [ ! -e /var/log/lastlog ] ||
	mount --bind "$1" /var/log/lastlog' - "$LAB_DIR/wtmp" || lab_die 'no place for the entries of sessions'
server sshd openssh-server 22 \
	'/usr/sbin/sshd -D -e -f $W/sshd_config'
client 'ssh, let in by name' openssh-client sshd \
	'ssh $SSH bob "cat $W/data" | sum' "$SUM"
client 'ssh, refused by name' openssh-client sshd \
	'ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile=$W/known_hosts -i $W/other bob true 2>&1 | grep -o "Permission denied"' 'Permission denied'
client 'ssh -tt, and who' openssh-client sshd \
	'ssh $SSH -tt bob who | grep -o "(.*)"' '(alice)'
client 'ssh, ControlMaster' openssh-client sshd \
	'ssh $SSH -M -S $OUT/ctl -fN bob && for i in 1 2 3; do ssh -S $OUT/ctl bob cat $W/data | sum; done | uniq -c | xargs
	ssh -S $OUT/ctl -O exit bob 2>/dev/null' "3 $SUM"
client 'ssh -J' openssh-client sshd \
	'ssh $SSH -J bob inner sha256sum <$W/data' "$SUM  -"
client 'ssh -L and -D' openssh-client sshd \
	'ssh $SSH -M -S $OUT/ctl -fN -L 127.0.0.1:8100:127.0.0.1:8006 -D 127.0.0.1:8101 bob
	curl -sS http://127.0.0.1:8100/data | sum
	curl -sS --proxy socks5h://127.0.0.1:8101 http://127.0.0.1:8006/data | sum
	ssh -S $OUT/ctl -O exit bob 2>/dev/null' "$SUM"$'\n'"$SUM"
client 'ssh -R' openssh-client sshd \
	'nc -N -l 127.0.0.1 8102 <$W/data & ssh $SSH -R 127.0.0.1:8103:127.0.0.1:8102 bob "nc -d 127.0.0.1 8103 | sha256sum"; wait' "$SUM  -"
client 'scp -O, of a folder' openssh-client sshd \
	'scp -O -q -r $SSH $W/www bob:$OUT/there && sum <$OUT/there/data' "$SUM"
client 'scp -3' openssh-client sshd \
	'scp -3 -q $SSH bob:$W/data bob:$OUT/there && sum <$OUT/there' "$SUM"
client 'sftp, resumed' openssh-client sshd \
	'head -c 1M $W/data >part && printf "%s\n" "reget $W/data part" "put part $OUT/there" | sftp -q $SSH -b - bob >list && sum <there' "$SUM"
cat >"$W/resume" <<'SH'
rsync -a --partial --bwlimit=1m -e "ssh $SSH" "bob:$W/data" part 2>/dev/null &
until [ "$(cat .part.* 2>/dev/null | wc -c)" -gt 100000 ]; do :; done
kill -INT $! && ! wait $!
[ "$(wc -c <part)" -lt 2097152 ] && rsync -a --append-verify -e "ssh $SSH" "bob:$W/data" part && sum <part
SH
client 'rsync, resumed' rsync sshd \
	'bash $W/resume' "$SUM"

# --- bare streams
server 'busybox httpd' busybox 8006 \
	'busybox httpd -f -p 8006 -h $W/www'
server 'nc -l' netcat-openbsd 9004 \
	'bash -c "while nc -N -l 9004 <$W/data; do :; done"'
server 'socat, for a line' socat 9003 \
	'socat TCP-LISTEN:9003,fork,reuseaddr SYSTEM:"read x; echo got \\\$x"'
client 'busybox telnet' busybox 'socat, for a line' \
	'mkfifo to && { busybox telnet bob 9003 <to & exec 3>to; echo hello >&3; wait; } | grep -ao "got.*" | tr -d "\r"' 'got hello'
client telnet inetutils-telnet 'socat, for a line' \
	'mkfifo to && { telnet bob 9003 <to 2>/dev/null & exec 3>to; echo hello >&3; wait; } | grep -ao "got.*" | tr -d "\r"' 'got hello'
client 'nc.openbsd -p' netcat-openbsd 'nc -l' \
	'until nc -d -p 5432 bob 9004 2>/dev/null >got && [ -s got ]; do :; done; sum <got' "$SUM"
client 'curl --interface ADDRESS' curl 'busybox httpd' \
	'curl -sS --interface 192.168.1.2 --local-port 5433 http://bob:8006/data | sum' "$SUM"
client 'curl --interface DEVICE, refused' curl 'busybox httpd' \
	'curl -s --interface eth0 http://bob:8006/data || echo refused; curl -sS http://bob:8006/data | sum' refused$'\n'"$SUM"

programs_run
logs_show_standin sshd "$(lab_log sshd)" 'Accepted publickey.* from ([^1]|1[^2])' # not the way on from there of -J
logs_show_standin 'sshd, refusing' "$(lab_log sshd)" 'closed by authenticating user'

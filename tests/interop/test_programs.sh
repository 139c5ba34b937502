#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 180
#
# The everyday programs: shells and copies over ssh, rsync, git, the web, databases.
. "$(dirname "$0")/../lab/lab.sh"
. "$(dirname "$0")/../lab/punch.sh"
. "$(dirname "$0")/programs.sh"
programs_begin "$@"

# --- sshd and what runs over ssh
ssh-keygen -q -t ed25519 -N '' -f "$W/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$W/key"
printf '%s\n' "HostKey $W/host_key" "AuthorizedKeysFile $W/key.pub" 'StrictModes no' 'UsePAM no' \
	'PermitRootLogin yes' 'PidFile none' 'Subsystem sftp internal-sftp' >"$W/sshd_config"
printf 'bob %s\n' "$(cat "$W/host_key.pub")" >"$W/known_hosts"
SSH="-i $W/key -o BatchMode=yes -o UserKnownHostsFile=$W/known_hosts"
export GIT_SSH_COMMAND="ssh $SSH"
server sshd openssh-server 22 \
	'/usr/sbin/sshd -D -e -f $W/sshd_config'
client ssh openssh-client sshd \
	'ssh $SSH bob "cat $W/data" | sum' "$SUM"
client 'ssh -o ConnectTimeout' openssh-client sshd \
	'ssh $SSH -o ConnectTimeout=10 bob sha256sum <$W/data' "$SUM  -"
client 'ssh, as seen by the session' openssh-client sshd \
	"ssh \$SSH bob 'echo \$SSH_CONNECTION' | grep -coE '^$STANDIN [0-9]+ '" 1
client scp openssh-client sshd \
	'scp -q $SSH $W/data bob:$OUT/there && scp -q $SSH bob:$OUT/there back && sum <back' "$SUM"
client sftp openssh-client sshd \
	'echo "get $W/data back" | sftp -q $SSH -b - bob >list && sum <back' "$SUM"
client 'rsync over ssh' rsync sshd \
	'rsync -a -e "ssh $SSH" $W/data bob:$OUT/there && sum <there' "$SUM"

# --- git: a repository of one file
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@a
git init -q -b main "$W/tree" && cp "$W/data" "$W/tree/" && git -C "$W/tree" add data && git -C "$W/tree" commit -q -m data
git clone -q --bare "$W/tree" "$W/www/repo.git" && git -C "$W/www/repo.git" update-server-info
server 'git daemon' git 9418 \
	'git daemon --reuseaddr --verbose --export-all --enable=receive-pack --base-path=$W/www'
client 'git over ssh' git sshd \
	'git clone -q bob:$W/www/repo.git c && git -C c push -q origin HEAD:refs/heads/$RANDOM && sum <c/data' "$SUM"
client 'git over git://' git 'git daemon' \
	'git clone -q git://bob/repo.git c && git -C c push -q origin HEAD:refs/heads/$RANDOM && sum <c/data' "$SUM"

# --- the web
server 'python http.server' python3 8000 \
	'python3 -u -m http.server 8000 --directory $W/www'
client curl curl 'python http.server' \
	'curl -sS http://bob:8000/data | sum' "$SUM"
client 'curl -Z' curl 'python http.server' \
	'curl --no-progress-meter -Z --parallel-immediate -o "#1" "http://bob:8000/{data,data?1,data?2}" && cat data* | wc -c' 6291456
client wget wget 'python http.server' \
	'wget -q -O - http://bob:8000/data | sum' "$SUM"
client 'wget --connect-timeout' wget 'python http.server' \
	'wget -q --connect-timeout=10 -O - http://bob:8000/data | sum' "$SUM"
client 'git over http' git 'python http.server' \
	'git clone -q http://bob:8000/repo.git c && sum <c/data' "$SUM"
client 'python urllib' python3 'python http.server' \
	'python3 -c "import sys, urllib.request as u; sys.stdout.buffer.write(u.urlopen(\"http://bob:8000/data\").read())" | sum' "$SUM"

cat >"$W/get.js" <<'JS'
require("http").get(process.argv[2], response => response.pipe(process.stdout));
JS
cat >"$W/net.js" <<'JS'
const socket = require("net").connect(9000, "bob");
process.stdin.pipe(socket).pipe(process.stdout);
JS
cat >"$W/http.js" <<'JS'
const http = require("http"), fs = require("fs");
http.createServer((request, response) => {
	console.log(request.socket.remoteAddress + " " + request.url);
	fs.createReadStream(process.env.W + request.url).pipe(response);
}).listen(8003);
JS
server 'node http' nodejs 8003 \
	'node $W/http.js'
client 'node http client' nodejs 'node http' \
	'node $W/get.js http://bob:8003/data | sum' "$SUM"

mkdir "$W/nginx"
cat >"$W/nginx.conf" <<NGINX
user nobody nogroup;
worker_processes 2;
daemon off;
pid $W/nginx/pid;
error_log stderr;
events {}
http {
	access_log $W/nginx/access;
	client_body_temp_path $W/nginx/a; proxy_temp_path $W/nginx/b; fastcgi_temp_path $W/nginx/c;
	uwsgi_temp_path $W/nginx/d; scgi_temp_path $W/nginx/e;
	server { listen 8080 reuseport; root $W/www; }
}
NGINX
server nginx nginx-light 8080 \
	'nginx -c $W/nginx.conf'
client 'curl of nginx' curl nginx \
	'for i in 1 2 3 4; do curl -sS http://bob:8080/data | sum; done | uniq -c | xargs' "4 $SUM"

# --- bare streams
cat >"$W/echo.py" <<'PY'
import asyncio
async def serve(reader, writer):
    print(writer.get_extra_info("peername")[0], flush=True)
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def main():
    async with await asyncio.start_server(serve, "0.0.0.0", 9001) as server:
        await server.serve_forever()
asyncio.run(main())
PY
cat >"$W/socket_client.py" <<'PY'
import socket, sys, threading
s = socket.create_connection(("bob", 9001), timeout=10)
data = open(sys.argv[1], "rb").read()
def send():
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
while part := s.recv(65536):
    sys.stdout.buffer.write(part)
PY
cat >"$W/asyncio_client.py" <<'PY'
import asyncio, sys
async def main():
    reader, writer = await asyncio.open_connection("bob", 9001)
    writer.write(open(sys.argv[1], "rb").read())
    writer.write_eof()
    sys.stdout.buffer.write(await reader.read())
    writer.close()
asyncio.run(main())
PY
server socat socat 9000 \
	'socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat'
server 'python asyncio' python3 9001 \
	'python3 $W/echo.py'
client nc.openbsd netcat-openbsd socat \
	'nc -N bob 9000 <$W/data | sum' "$SUM"
client 'nc.openbsd -w' netcat-openbsd socat \
	'nc -N -w 10 bob 9000 <$W/data | sum' "$SUM"
client 'socat as client' socat socat \
	'socat -t 10 - TCP:bob:9000 <$W/data | sum' "$SUM"
client 'node net' nodejs socat \
	'node $W/net.js <$W/data | sum' "$SUM"
client 'python socket' python3 'python asyncio' \
	'python3 $W/socket_client.py $W/data | sum' "$SUM"
client 'python asyncio client' python3 'python asyncio' \
	'python3 $W/asyncio_client.py $W/data | sum' "$SUM"

# --- rsync's own protocol
printf '%s\n' 'log file = /dev/stderr' '[files]' "path = $W/www" >"$W/rsyncd.conf"
server 'rsync --daemon' rsync 873 \
	'rsync --daemon --no-detach --config=$W/rsyncd.conf'
client 'rsync over rsync://' rsync 'rsync --daemon' \
	'rsync -a rsync://bob/files/data back && sum <back' "$SUM"

# --- databases; PostgreSQL lets in whoever comes from a stand-in address, to template1 only alice, and nobody else
server redis-server redis-server 6379 \
	'redis-server --port 6379 --bind 0.0.0.0 --protected-mode no --save "" --dir $W'
client redis-cli redis-tools redis-server \
	'redis-cli -h bob -x set key <$W/data && redis-cli -h bob get key | head -c 2097152 | sum' "OK"$'\n'"$SUM"
client 'redis-cli, as seen by the server' redis-tools redis-server \
	"redis-cli -h bob client info | grep -coE ' addr=$STANDIN:[0-9]+ '" 1

PGBIN=$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1)
export PGBIN
if [ -x "$PGBIN/initdb" ]; then
	install -d -o 65534 -g 65534 -m 700 "$W/pg"
	(cd / && setpriv --reuid=65534 --regid=65534 --clear-groups "$PGBIN/initdb" -D "$W/pg" -U postgres --no-sync \
		-E UTF8 --locale=C >"$(lab_log initdb)" 2>&1) || lab_die 'initdb fails'
	printf 'host %s\n' 'postgres postgres 239.192.0.0/14 trust' 'template1 postgres alice trust' >"$W/pg/pg_hba.conf"
fi
server postgres postgresql-15 carol:5432 \
	'$PGBIN/postgres -D $W/pg -c listen_addresses=0.0.0.0 -c unix_socket_directories= -c log_connections=on'
client psql postgresql-client-15 postgres \
	'psql -h carol -U postgres -AtX -c "select sum(n), max(length(repeat(md5(n::text), 100))) from generate_series(1, 10000) n"' '50005000|3200'
client 'psql, let in by name' postgresql-client-15 postgres \
	'psql -h carol -U postgres -AtX -c "select client_hostname from pg_stat_activity where pid = pg_backend_pid()" template1' alice
cat >"$W/dump" <<'SH'
export PGHOST=carol PGUSER=postgres
for ((i = 1; i <= 20000; i++)); do echo "$i,line $i of the table"; done >in
psql -qX -c 'create table t (n int primary key, line text)' -c '\copy t from in csv' -c '\copy t to out csv'
cmp in out && "$PGBIN/pg_dump" -Fc -t t postgres >dump
psql -qX -c 'drop table t'
"$PGBIN/pg_restore" -d postgres dump
psql -AtX -c 'select count(*), sum(n) from t' -c 'drop table t'
SH
client 'psql copy, pg_dump, pg_restore' postgresql-client-15 postgres \
	'bash $W/dump' '20000|200010000'$'\n''DROP TABLE'

programs_run
logs_show_standin sshd "$(lab_log sshd)" 'Accepted publickey'
logs_show_standin 'python http.server' "$(lab_log 'python http.server')" GET
logs_show_standin 'node http' "$(lab_log 'node http')" /data
logs_show_standin nginx "$W/nginx/access" GET
logs_show_standin 'python asyncio' "$(lab_log 'python asyncio')" '^[0-9]'
logs_show_standin 'git daemon' "$(lab_log 'git daemon')" 'Connection from'
logs_show_standin 'rsync --daemon' "$(lab_log 'rsync --daemon')" 'connect from'
logs_show_standin postgres "$(lab_log postgres)" 'connection received'

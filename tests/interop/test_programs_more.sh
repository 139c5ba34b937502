#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 180
#
# More programs: small ones, one that connects for others (nginx, redis replica), servers with many processes.
. "$(dirname "$0")/../lab/lab.sh"
. "$(dirname "$0")/../lab/punch.sh"
. "$(dirname "$0")/programs.sh"
programs_begin "$@"

# --- servers of web pages
mkdir "$W/apache" "$W/nginx"
printf 'LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n' mpm_event mpm_event authz_core authz_core authz_host authz_host >"$W/apache.conf"
cat >>"$W/apache.conf" <<APACHE
ServerName bob
ServerRoot $W/apache
DefaultRuntimeDir $W/apache
PidFile $W/apache/pid
User nobody
Group nogroup
Listen 8004
StartServers 2
DocumentRoot $W/www
ErrorLog /dev/stderr
# Both look names up: the log's, and the one of a directive that is tried against the address, too
HostnameLookups On
<Location />
Require host alice
</Location>
LogFormat "%a %h %r" short
CustomLog $W/apache/access short
APACHE
cat >"$W/app.py" <<'PY'
import os
def app(environ, start_response):
    print(environ["REMOTE_ADDR"], environ["PATH_INFO"], flush=True)
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [open(os.environ["W"] + "/data", "rb").read()]
PY
server apache2 apache2-bin 8004 \
	'apache2 -DFOREGROUND -f $W/apache.conf'
server gunicorn gunicorn 8005 \
	'gunicorn --workers 2 --bind 0.0.0.0:8005 --chdir $W app:app'
server 'busybox httpd' busybox 8006 \
	'busybox httpd -f -p 8006 -h $W/www'
client 'curl of apache2' curl apache2 \
	'curl --no-progress-meter -Z --parallel-immediate -o "#1" "http://bob:8004/{data,data?1,data?2}" && cat data* | wc -c' 6291456
client 'curl of gunicorn' curl gunicorn \
	'for i in 1 2 3 4; do curl -sS http://bob:8005/; done | wc -c' 8388608
client 'busybox wget' busybox 'busybox httpd' \
	'busybox wget -q -O - http://bob:8006/data | sum' "$SUM"
client 'curl --tcp-fastopen' curl 'busybox httpd' \
	'curl -sS --tcp-fastopen http://bob:8006/data | sum' "$SUM"
client lftp lftp 'busybox httpd' \
	'lftp -c "set xfer:log no; get -O $OUT http://bob:8006/data" && sum <$OUT/data' "$SUM"

# --- nginx asks bob on behalf of its clients: 40 requests, 20 at a time
cat >"$W/proxy.conf" <<NGINX
worker_processes 2;
daemon off;
pid $W/nginx/pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path $W/nginx/a; proxy_temp_path $W/nginx/b; fastcgi_temp_path $W/nginx/c;
	uwsgi_temp_path $W/nginx/d; scgi_temp_path $W/nginx/e;
	server { listen 127.0.0.1:8088; location / { proxy_pass http://bob:8004; } }
}
NGINX
head -c 20000 "$W/data" >"$W/www/small"
cat >"$W/proxy" <<'SH'
nginx -c "$W/proxy.conf" &
until bash -c ': >/dev/tcp/127.0.0.1/8088' 2>/dev/null; do :; done
curl --no-progress-meter -Z --parallel-max 20 -o '#1' 'http://127.0.0.1:8088/small?[1-40]'
kill -QUIT $! && wait $!
cat [0-9]* | wc -c
SH
client 'nginx as upstream client' nginx-light apache2 \
	'bash $W/proxy' 800000

# --- bare streams
server 'ncat --listen' ncat 9002 \
	'ncat --listen --keep-open --exec /bin/cat 9002'
server socat socat 9000 \
	'socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat'
client ncat ncat socat \
	'ncat bob 9000 <$W/data | sum' "$SUM"
client 'ncat --udp, refused' ncat socat \
	'ncat --udp bob 9000 <<<x 2>&1; ncat bob 9000 <<<x' 'Ncat: Network is unreachable.'$'\n'x
client 'busybox nc' busybox socat \
	'busybox nc bob 9000 <$W/data | sum' "$SUM"
client 'bash /dev/tcp' bash 'ncat --listen' \
	'exec 3<>/dev/tcp/bob/9002 && echo hello >&3 && head -n 1 <&3' hello
cat >"$W/client.pl" <<'PL'
use IO::Socket::INET;
my $socket = IO::Socket::INET->new(PeerAddr => "bob", PeerPort => 9002, @ARGV) or die "connect: $@";
print $socket "hello from perl\n";
print scalar <$socket>;
PL
client perl perl-base 'ncat --listen' \
	'perl $W/client.pl' 'hello from perl'
client 'perl, Timeout' perl-base 'ncat --listen' \
	'perl $W/client.pl Timeout 10' 'hello from perl'

# --- a database that follows another one
server 'redis-server, followed' redis-server 6379 \
	'redis-server --port 6379 --bind 0.0.0.0 --protected-mode no --save "" --dir $W'
cat >"$W/replica" <<'SH'
redis-cli -h bob -x set key <"$W/data" >/dev/null
redis-server --port 6380 --bind 127.0.0.1 --save '' --dir "$OUT" --replicaof bob 6379 >log &
until redis-cli -p 6380 info replication 2>/dev/null | grep -q 'master_link_status:up'; do :; done
redis-cli -p 6380 get key | head -c 2097152 | sum
redis-cli -p 6380 shutdown nosave && wait
SH
client 'redis-server as replica' redis-server 'redis-server, followed' \
	'bash $W/replica' "$SUM"

programs_run
logs_show_standin apache2 "$W/apache/access" '^[0-9.]+ alice GET'
logs_show_standin gunicorn "$(lab_log gunicorn)" '^[0-9].* /$'

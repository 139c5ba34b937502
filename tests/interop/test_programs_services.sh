#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 180
#
# Services of other kinds: Java, TLS and HTTP/2, proxies, message queues, FTP, MariaDB.
. "$(dirname "$0")/../lab/lab.sh"
. "$(dirname "$0")/../lab/punch.sh"
. "$(dirname "$0")/programs.sh"
programs_begin "$@"

# MariaDB makes its tables, and Java's classes are compiled, while the rest is prepared
if command -v mariadb-install-db >/dev/null; then
	install -d -o 65534 -g 65534 "$W/maria"
	lab_bg alice maria-install setpriv --reuid=65534 --regid=65534 --clear-groups mariadb-install-db --no-defaults \
		--datadir="$W/maria" --auth-root-authentication-method=normal --skip-test-db
fi
mkdir "$W/java"
cat >"$W/Server.java" <<'JAVA'
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.file.*;
import java.util.concurrent.Executors;

public class Server {
	public static void main(String[] args) throws Exception {
		HttpServer server = HttpServer.create(new InetSocketAddress(8020), 16);
		server.setExecutor(Executors.newFixedThreadPool(2));
		server.createContext("/", exchange -> {
			System.out.println(exchange.getRemoteAddress().getAddress().getHostAddress() + " " + exchange.getRequestURI());
			byte[] data = Files.readAllBytes(Path.of(System.getenv("W") + "/data"));
			exchange.sendResponseHeaders(200, data.length);
			exchange.getResponseBody().write(data);
			exchange.close();
		});
		server.start();
	}
}
JAVA
cat >"$W/Client.java" <<'JAVA'
import java.io.InputStream;
import java.net.*;
import java.net.http.*;
import java.nio.ByteBuffer;
import java.nio.channels.*;

/** One fetch by each of Java's ways to connect: classic sockets, the HTTP client of Java 11, a channel that waits */
public class Client {
	static byte[] classic() throws Exception {
		URLConnection connection = new URL("http://bob:8020/").openConnection();
		connection.setConnectTimeout(10000);
		try (InputStream in = connection.getInputStream()) {
			return in.readAllBytes();
		}
	}
	static byte[] http() throws Exception {
		HttpRequest request = HttpRequest.newBuilder(URI.create("http://bob:8020/")).build();
		HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
		return client.send(request, HttpResponse.BodyHandlers.ofByteArray()).body();
	}
	static byte[] channel() throws Exception {
		SocketChannel channel = SocketChannel.open(new InetSocketAddress("bob", 8020));
		channel.write(ByteBuffer.wrap("GET / HTTP/1.0\r\n\r\n".getBytes()));
		byte[] all = channel.socket().getInputStream().readAllBytes();
		for (int i = 0; ; i++)
			if (all[i] == '\r' && all[i + 2] == '\r')
				return java.util.Arrays.copyOfRange(all, i + 4, all.length);
	}
	public static void main(String[] args) throws Exception {
		System.out.write(args[0].equals("classic") ? classic() : args[0].equals("http") ? http() : channel());
		System.out.flush();
		System.exit(0);
	}
}
JAVA
# The package's own, whatever else the machine has; its run-time package holds the compiler, too
export JAVA='/usr/bin/java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC'
[ ! -x /usr/bin/java ] || lab_bg alice javac $JAVA -m jdk.compiler/com.sun.tools.javac.Main -d "$W/java" "$W"/{Server,Client}.java

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=bob -addext subjectAltName=DNS:bob \
	-keyout "$W/tls.key" -out "$W/tls.crt" 2>"$(lab_log openssl)" || lab_die 'openssl makes no certificate'

server 'java HttpServer' openjdk-17-jre-headless 8020 \
	'$JAVA -cp $W/java Server'
client 'java URLConnection' openjdk-17-jre-headless 'java HttpServer' \
	'$JAVA -cp $W/java Client classic | sum' "$SUM"
client 'java HttpClient' openjdk-17-jre-headless 'java HttpServer' \
	'$JAVA -cp $W/java Client http | sum' "$SUM"
client 'java SocketChannel' openjdk-17-jre-headless 'java HttpServer' \
	'$JAVA -cp $W/java Client channel | sum' "$SUM"

# --- TLS, in three libraries; HTTP/2
mkdir "$W"/{nginx,apache}
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
	ssl_certificate $W/tls.crt; ssl_certificate_key $W/tls.key;
	server { listen 8443 ssl http2; root $W/www; }
}
NGINX
server 'nginx, TLS' nginx-light 8443 \
	'nginx -c $W/nginx.conf'
server 'openssl s_server' openssl 8444 \
	'bash -c "cd $W/www && exec openssl s_server -quiet -accept 8444 -cert $W/tls.crt -key $W/tls.key -WWW"'
client 'curl, HTTP/2' curl 'nginx, TLS' \
	'curl --no-progress-meter --cacert $W/tls.crt --http2 -Z -w "%{http_version}\n" -o "#1" "https://bob:8443/{data,data?1,data?2}" \
		| sort | uniq -c | xargs && cat data* | wc -c' '3 2'$'\n'6291456
client 'wget, GnuTLS' wget 'nginx, TLS' \
	'wget -q --ca-certificate=$W/tls.crt -O - https://bob:8443/data | sum' "$SUM"
client 'openssl s_client' openssl 'openssl s_server' \
	'printf "GET /data HTTP/1.0\r\n\r\n" | openssl s_client -noservername -quiet -verify_quiet -CAfile $W/tls.crt -verify_return_error -connect bob:8444 |
		sed "1,/^\r\$/d" | sum' "$SUM"

# --- proxies, on both sides
cat >"$W/haproxy-server.conf" <<HAPROXY
global
	log stderr format raw local0
	nbthread 2
	user nobody
	group nogroup
defaults
	mode http
	timeout connect 5s
	timeout client 20s
	timeout server 20s
listen web
	bind 0.0.0.0:8011
	log global
	log-format "%ci %HU"
	server here 127.0.0.1:8443 ssl verify none
HAPROXY
cat >"$W/haproxy-client.conf" <<HAPROXY
defaults
	mode http
	timeout connect 10s
	timeout client 20s
	timeout server 20s
listen web
	bind 127.0.0.1:8088
	server bob bob:8011
HAPROXY
modules() { # MODULE...
	local name
	for name; do
		printf 'LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n' "$name" "$name"
	done
}
cat >"$W/apache.conf" <<APACHE
$(modules mpm_event authz_core proxy proxy_http)
ServerName alice
ServerRoot $W/apache
DefaultRuntimeDir $W/apache
PidFile $W/apache/pid
User nobody
Group nogroup
Listen 127.0.0.1:8088
ErrorLog $W/apache/error
ProxyPass / http://bob:8011/
APACHE
cat >"$W/proxied" <<'SH'
"$@" &
until bash -c ': >/dev/tcp/127.0.0.1/8088' 2>/dev/null; do :; done
curl --no-progress-meter -Z --parallel-max 4 -o '#1' 'http://127.0.0.1:8088/data?[1-8]'
kill $! && wait $!
cat [0-9]* | wc -c
SH
server haproxy haproxy 8011 \
	'haproxy -db -f $W/haproxy-server.conf'
client 'haproxy as upstream client' haproxy haproxy \
	'bash $W/proxied haproxy -db -f $W/haproxy-client.conf' 16777216
client 'apache2 as proxy' apache2-bin haproxy \
	'bash $W/proxied apache2 -DFOREGROUND -f $W/apache.conf' 16777216

# --- two workers that are started anew and get the listener from their parent
cat >"$W/asgi.py" <<'PY'
import os
async def app(scope, receive, send):
    if scope["type"] == "http":
        print(scope["client"][0], scope["path"], flush=True)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": open(os.environ["W"] + "/data", "rb").read()})
PY
server uvicorn python3-uvicorn 8012 \
	'python3 -m uvicorn --app-dir $W --host 0.0.0.0 --port 8012 --workers 2 --no-access-log asgi:app'
client 'curl of uvicorn' curl uvicorn \
	'curl --no-progress-meter -Z --parallel-immediate -o "#1" "http://bob:8012/[1-4]" && cat [1-4] | wc -c' 8388608

# --- queues and caches
printf '%s\n' 'listener 1883 0.0.0.0' 'allow_anonymous true' 'user nobody' 'log_dest stderr' >"$W/mosquitto.conf"
server mosquitto mosquitto 1883 \
	'mosquitto -c $W/mosquitto.conf'
client 'mosquitto_pub and _sub' mosquitto-clients mosquitto \
	'mosquitto_pub -h bob -r -q 1 -t $OUT -f $W/data && mosquitto_sub -h bob -q 1 -C 1 -N -t $OUT | sum' "$SUM"
cat >"$W/cache.py" <<'PY'
import os, socket
with socket.create_connection(("bob", 11211), timeout=10) as s:
    data = open(os.environ["W"] + "/data", "rb").read()[:1000000]
    s.sendall(b"set key 0 0 %d\r\n%s\r\nget key\r\nquit\r\n" % (len(data), data))
    os.write(1, b"%r\n" % (b"".join(iter(lambda: s.recv(65536), b"")) == b"STORED\r\nVALUE key 0 1000000\r\n" + data + b"\r\nEND\r\n"))
PY
server memcached memcached 11211 \
	'memcached -u nobody -l 0.0.0.0 -p 11211 -t 4'
client 'python client of memcached' python3 memcached \
	'for i in 1 2 3 4; do python3 $W/cache.py & done | grep -c True; wait' 4

# --- FTP: the server listens anew for each transfer, on a port of a [service]
cat >"$W/vsftpd.conf" <<FTP
listen=YES
listen_port=2121
background=NO
anonymous_enable=YES
anon_root=$W/www
ftp_username=daemon
no_anon_password=YES
pasv_min_port=2122
pasv_max_port=2122
secure_chroot_dir=$LAB_DIR/host/bob/run/sshd
xferlog_enable=YES
vsftpd_log_file=$W/vsftpd.log
FTP
server vsftpd vsftpd 2121,2122 \
	'vsftpd $W/vsftpd.conf'
client 'curl, FTP' curl vsftpd \
	'curl -sS ftp://bob:2121/data | sum' "$SUM"
client 'lftp, FTP' lftp vsftpd \
	'lftp -c "set xfer:log no; set ftp:prefer-epsv yes; get -O $OUT ftp://bob:2121/data" && sum <$OUT/data' "$SUM"

# --- MariaDB lets in who comes from "alice"
export SQL='mariadb --no-defaults -h carol -u far -N -B mysql'
server mariadbd mariadb-server-core carol:3306 \
	'mariadbd --no-defaults --datadir=$W/maria --bind-address=0.0.0.0 --socket=$W/maria/s --pid-file=$W/maria/pid --init-file=$W/maria.sql --innodb-buffer-pool-size=8M --innodb-use-native-aio=0'
printf '%s\n' 'CREATE USER far@alice;' 'GRANT ALL ON *.* TO far@alice;' >"$W/maria.sql"
client mariadb mariadb-client-core mariadbd \
	'$SQL -e "select user(), sum(seq), max(length(repeat(md5(seq), 100))) from seq_1_to_10000"' 'far@alice'$'\t'50005000$'\t'3200

[ -z "${LAB_BGPID[javac]:-}" ] || wait "${LAB_BGPID[javac]}" || lab_die 'javac fails'
[ -z "${LAB_BGPID[maria-install]:-}" ] || wait "${LAB_BGPID[maria-install]}" || lab_die 'mariadb-install-db fails'
programs_run
logs_show_standin 'java HttpServer' "$(lab_log 'java HttpServer')" ' /$'
logs_show_standin 'nginx, TLS' "$W/nginx/access" '^239.*GET'
logs_show_standin haproxy "$(lab_log haproxy)" ' /data'
logs_show_standin uvicorn "$(lab_log uvicorn)" ' /[1-4]$'
logs_show_standin mosquitto "$(lab_log mosquitto)" 'New connection from'
logs_show_standin vsftpd "$W/vsftpd.log" CONNECT

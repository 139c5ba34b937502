# SPDX-License-Identifier: MIT
"""A gateway that should not be trusted: gateway.py MODE ADDRESS [OTHER-HOST [OTHER-IPV6-HOST]]

Speaks PCP (RFC 6887) on ADDRESS, or answers UPnP's search, in a bad way:
	private		external address 10.0.0.5, as behind another NAT
	wrong		external address 192.0.2.99, which is not ours; by IPv6, OTHER-IPV6-HOST
	short		a lease of one second
	brief		a lease of one minute, and the external address OTHER-HOST: no lie
	garbage		random bytes, on every port
	slow		a description that comes by one byte a second
	offline		by UPnP ports are mapped, but the line is down: there is no external address to be told
	elsewhere	a description on OTHER-HOST; to who searches by IPv6, on OTHER-IPV6-HOST
"""
import os
import selectors
import socket
import struct
import sys
import threading
import time

MODE, ADDRESS = sys.argv[1], sys.argv[2]
OTHER = sys.argv[3] if len(sys.argv) > 3 else ADDRESS
OTHER6 = sys.argv[4] if len(sys.argv) > 4 else None


def pcp(request):
    """The response to a MAP request"""
    if len(request) < 60 or request[0] != 2:
        return None
    external, lifetime = {"private": ("10.0.0.5", 7200), "wrong": ("192.0.2.99", 7200),
                          "short": (OTHER, 1), "brief": (OTHER, 60)}[MODE]
    asked = struct.unpack("!I", request[4:8])[0]
    print("mapping asked for", asked, "s", flush=True)
    external = bytes(10) + b"\xff\xff" + socket.inet_aton(external)
    if request[8:20] != external[:12]:
        print("pinhole asked for", flush=True)
        external = socket.inet_pton(socket.AF_INET6, OTHER6)
    return (struct.pack("!BBBBII12x", 2, 0x81, 0, 0, min(asked, lifetime), 1) + request[24:42] + request[40:42] +
            external)


def udp(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if port == 1900:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     socket.inet_aton("239.255.255.250") + socket.inet_aton(ADDRESS))
    s.bind(("", port))
    return s


def mapper_udp6(interface):
    """Answers from the link-local address that the request was sent to"""
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind(("fe80::1", 5351, 0, socket.if_nametoindex(interface)))
    return s


def search_udp6(interface):
    """Hears UPnP's search by IPv6 (ff02::c)"""
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                 socket.inet_pton(socket.AF_INET6, "ff02::c") + struct.pack("@I", socket.if_nametoindex(interface)))
    s.bind(("", 1900))
    return s


DESCRIPTION = """<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>
<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><deviceList><device>
<deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType><deviceList><device>
<deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/control</controlURL>
</service></serviceList></device></deviceList></device></deviceList></device></root>"""


def igd(connection):
    """UPnP of a gateway whose line is down: 501 Action Failed"""
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(4096)
    head, _, body = request.partition(b"\r\n\r\n")
    size = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while size and len(body) < size[0]:
        body += connection.recv(4096)
    status, answer = "200 OK", DESCRIPTION
    if head.startswith(b"POST"):
        actions = "GetExternalIPAddress", "AddPortMapping", "DeletePortMapping"
        action = next(a for a in actions if a.encode() in body)
        print(action, flush=True)
        answer = f"<u:{action}Response xmlns:u=\"urn:schemas-upnp-org:service:WANIPConnection:1\"/>"
        if action == "GetExternalIPAddress":
            status, answer = "500 Internal Server Error", "<UPnPError><errorCode>501</errorCode></UPnPError>"
    connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(answer)}\r\n\r\n{answer}".encode())


def web(connection):
    try:
        if MODE == "offline":
            igd(connection)
            connection.close()
            return
        connection.recv(4096)
        if MODE == "garbage":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n" + os.urandom(1 << 20))
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while MODE == "slow":
                connection.sendall(b"<")
                time.sleep(1)
    except OSError:
        pass
    connection.close()


def search_answer(host):
    return (f"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nLOCATION: http://{host}:5000/d.xml\r\n"
            "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nUSN: x\r\n\r\n").encode()


waiting = selectors.DefaultSelector()
mapper = search = search6 = None
if MODE in ("private", "wrong", "short", "brief", "garbage"):
    mapper = udp(5351)
    waiting.register(mapper, selectors.EVENT_READ)
if MODE in ("garbage", "slow", "offline", "elsewhere"):
    search = udp(1900)
    waiting.register(search, selectors.EVENT_READ)
if MODE == "wrong":
    waiting.register(mapper_udp6("lan"), selectors.EVENT_READ)
elif OTHER6:
    search6 = search_udp6("lan")
    waiting.register(search6, selectors.EVENT_READ)
listener = socket.create_server(("", 5000), family=socket.AF_INET6, dualstack_ipv6=True)
waiting.register(listener, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in waiting.select():
        if key.fileobj is listener:
            threading.Thread(target=web, args=(listener.accept()[0],), daemon=True).start()
            print("description asked", flush=True)
            continue
        data, peer = key.fileobj.recvfrom(4096)
        if key.fileobj is search:
            answer = search_answer(OTHER if MODE == "elsewhere" else ADDRESS)
        elif key.fileobj is search6:
            print("searched by IPv6", flush=True)
            answer = search_answer(f"[{OTHER6}]")
        else:
            answer = os.urandom(60) if MODE == "garbage" else pcp(data)
        if answer:
            key.fileobj.sendto(answer, peer)

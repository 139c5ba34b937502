# SPDX-License-Identifier: MIT
"""Somebody else's STUN server, by TCP: stun.py ADDRESS PORT [WORD]

Answers binding requests (RFC 8489) with the address that it sees. WORD is what it says instead:
	A.B.C.D:PORT	that address
	each		the port that it sees plus its own: as behind a NAT with a port for each destination
"""
import socket
import struct
import sys
import threading

COOKIE = 0x2112A442


def said(peer, port):
    word = sys.argv[3] if len(sys.argv) > 3 else ""
    if word == "each":
        return peer[0], (peer[1] + port) % 64512 + 1024
    if word:
        host, number = word.split(":")
        return host, int(number)
    return peer


def serve(connection, peer, port):
    print("asked by", *peer, flush=True)
    try:
        while len(request := connection.recv(1500)) >= 20:
            host, number = said(peer, port)
            address, = struct.unpack("!I", socket.inet_aton(host))
            attribute = struct.pack("!HHBBHI", 0x0020, 8, 0, 1, number ^ COOKIE >> 16, address ^ COOKIE)
            connection.sendall(struct.pack("!HHI", 0x0101, len(attribute), COOKIE) + request[8:20] + attribute)
    except OSError:
        pass
    connection.close()


listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=64)
while True:
    one, other = listener.accept()
    threading.Thread(target=serve, args=(one, other, int(sys.argv[2])), daemon=True).start()

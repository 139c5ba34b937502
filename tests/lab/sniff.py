# SPDX-License-Identifier: MIT
"""sniff.py FILE: append every packet of this network namespace to FILE, but those of the loopback."""
import contextlib
import socket
import sys

ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as s, open(sys.argv[1], "ab", 0) as out:
    with contextlib.suppress(OSError):  # only root may have as much
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    print("sniffing", flush=True)
    while True:
        data, (name, *_rest) = s.recvfrom(65536)
        if name != "lo":
            out.write(data)

# SPDX-License-Identifier: MIT
"""sniff.py FILE: append every packet of this network namespace to FILE, but those of the loopback."""
import socket
import sys

ETH_P_ALL = 3
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as s, open(sys.argv[1], "ab", 0) as out:
    print("sniffing", flush=True)
    while True:
        data, (name, *_rest) = s.recvfrom(65536)
        if name != "lo":
            out.write(data)

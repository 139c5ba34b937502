# SPDX-License-Identifier: MIT
"""held.py HOST PORT FOLDER: hold a connection to an echo; for each N = 1, 2, ... wait for FOLDER/N and say it."""
import errno
import os
import socket
import sys
import time

host, port, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
s = socket.create_connection((host, port), 20)
print("held", flush=True)
n = 1
while True:
    while not os.path.exists(f"{folder}/{n}"):
        time.sleep(0.02)
    try:
        s.sendall(b"%d\n" % n)
        got = s.recv(100)
        print(f"{n}: {got.decode().strip() or 'end'}", flush=True)
    except OSError as e:
        print(f"{n}: {errno.errorcode.get(e.errno, e)}", flush=True)
        break
    n += 1

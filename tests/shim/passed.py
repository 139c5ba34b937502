# SPDX-License-Identifier: MIT
"""passed.py PORT LIBRARY: as systemd does, listen and execute a server that never calls listen() itself

The server accepts connections on descriptor 3 and says to each who it is.
"""
import os
import socket
import sys

SERVER = """
import socket
server = socket.socket(fileno=3)
while True:
    connection, peer = server.accept()
    with connection:
        connection.sendall(peer[0].encode())
"""

listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LD_PRELOAD=sys.argv[2], LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp(sys.executable, [sys.executable, "-c", SERVER])

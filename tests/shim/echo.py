# SPDX-License-Identifier: MIT
"""echo.py PORT: echo server on 127.0.0.1, for the tests of the shim"""
import socket
import sys
import threading


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)
    connection.close()


server = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=256)
while True:
    threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()

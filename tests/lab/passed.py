# SPDX-License-Identifier: MIT
"""passed.py PEER PORT TEXT: take the socket that `punchctl dial --fdpass` passes, and use it as any program would.

Sends TEXT and an end, reads until the end, and prints what came, after how the socket looked.
"""
import array
import select
import socket
import subprocess
import sys

peer, port, text = sys.argv[1:]
ours, theirs = socket.socketpair()
dial = subprocess.Popen(["punchctl", "dial", "--fdpass", peer, port], stdout=theirs)
theirs.close()
_, ancillary, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4))
(level, kind, data), = ancillary
assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
s = socket.socket(fileno=array.array("i", data)[0])
print("dial", dial.wait(20))        # nothing of ours is left but the socket
print(s.type.name, "blocking" if s.getblocking() else "non-blocking")
s.settimeout(20)
for piece in text:
    s.sendall(piece.encode())
assert select.select([s], [], [], 20)[0]
assert s.recv(1, socket.MSG_PEEK) == text[0].encode()
s.shutdown(socket.SHUT_WR)
got = b""
while data := s.recv(65536):
    got += data
print(got.decode())

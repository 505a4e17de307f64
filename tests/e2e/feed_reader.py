# SPDX-License-Identifier: Apache-2.0
"""A reader of the live feed: RFC 6455 by hand over a plain socket, so that a test says exactly what it sends."""
import base64
import hashlib
import json
import os
import socket
import struct

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Refused(Exception):
    """The answer to the upgrade was another than 101."""

    def __init__(self, status, body):
        super().__init__(f"{status} {body}")
        self.status = status


class Closed(Exception):
    """The server closed; `code` is its close frame's, None where there was none."""

    def __init__(self, code):
        super().__init__(f"closed with {code}")
        self.code = code


class FeedReader:
    def __init__(self, port, query="", fields=None, timeout=30, receive_bytes=None, host="127.0.0.1"):
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(timeout)
        self.socket.connect((host, port))
        self.file = self.socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        head = {"Host": f"{host}:{port}", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": key, **(fields or {})}
        lines = [f"GET /v1/events{'?' if query else ''}{query} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        status = int(self.file.readline().split()[1])
        self.fields = {}
        while (line := self.file.readline().strip()):
            name, _, value = line.decode().partition(":")
            self.fields[name.lower()] = value.strip()
        if status != 101:
            body = self.file.read(int(self.fields.get("content-length", 0)))
            self.close()
            raise Refused(status, body)
        wanted = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        assert self.fields["sec-websocket-accept"] == wanted
        self.hello = self.message()["hello"]

    def frame(self):
        head = self.file.read(2)
        if len(head) < 2:
            raise Closed(None)
        size = head[1] & 127
        if size == 126:
            size = struct.unpack(">H", self.file.read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.file.read(8))[0]
        return head[0] & 15, self.file.read(size)

    def send(self, opcode, payload):
        assert len(payload) < 126
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.socket.sendall(bytes([128 | opcode, 128 | len(payload)]) + mask + masked)

    def message(self):
        """The next message, as JSON; answers pings."""
        while True:
            opcode, payload = self.frame()
            if opcode == CLOSE:
                raise Closed(struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else None)
            if opcode == PING:
                self.send(PONG, payload)
            if opcode == TEXT:
                return json.loads(payload)

    def until(self, wanted):
        """All events up to the first of which wanted(event) is true, that one included."""
        events = []
        while True:
            for event in self.message():
                events.append(event)
                if wanted(event):
                    return events

    def close(self):
        self.file.close()
        self.socket.close()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What histobench takes for a histod, and should not believe. FAKE says what is wrong with it:
wrong: equalized images come back as they went; refuses: they get 415; silent: it never says that it is ready;
dies: it ends while starting; stubborn: it ends with 9 after SIGTERM; portless: it does not say where it listens."""
import http.server
import os
import signal
import socket
import sys

FAULT = os.environ.get("FAKE", "wrong")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        token = open(sys.argv[sys.argv.index("--token-file") + 1], encoding="ascii").read().split()[1]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = 200
        if self.headers["Authorization"] != f"Bearer {token}":
            status, body = 401, b"no token"
        elif FAULT == "refuses" and self.path.startswith("/v1/equalize"):
            status, body = 415, b"no images today"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    if "--bench" not in sys.argv or "--spool" not in sys.argv:
        sys.exit("called in another way than histobench should")
    if FAULT == "dies":
        print("level=error msg=\"no memory for anything\"", file=sys.stderr)
        sys.exit(4)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if FAULT != "portless":
        print(f"level=info msg=listening address=127.0.0.1:0 port={server.server_port} tls=false backend=fake workers=1",
              file=sys.stderr, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(9 if FAULT == "stubborn" else 0))
    if FAULT != "silent":
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            for message in (b"STATUS=starting", b"READY=1\nSTATUS=serving"):
                notify.sendto(message, os.environ["NOTIFY_SOCKET"])
    server.serve_forever()


main()

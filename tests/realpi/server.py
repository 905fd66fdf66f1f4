# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback API as a program on a real Pi: serves L(lab.sessions), and logs to its standard output.

Its environment has PORT, INTERNAL_SERVICE_KEY and DATABASE_URL (C(file:PATH)); the user that exists is the argument.
"""

from __future__ import annotations

import http.server
import json
import os
import sys
import time
from urllib.parse import urlsplit

import sessions

ROUTE = "/api/internal/sessions"


class Handler(http.server.BaseHTTPRequestHandler):
    """One request: the route's answer, or Next.js' page for what is no route; a line in the log for each."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def answer(self) -> None:
        begun, path = time.monotonic(), urlsplit(self.path).path
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path != ROUTE:
            self.send(404, "text/html", sessions.NOT_FOUND_PAGE.encode(), path, begun)
            return
        key, given = os.environ.get("INTERNAL_SERVICE_KEY", ""), self.headers.get(sessions.KEY_HEADER, "")
        answer = sessions.answer(self.command, given, key, content, make)
        print("\n".join(answer.log), end="\n" if answer.log else "", flush=True)
        body = b"" if answer.body is None else json.dumps(answer.body).encode()
        self.send(answer.status, "application/json", body, path, begun)

    def send(self, status: int, kind: str, body: bytes, path: str, begun: float) -> None:
        print(f"{self.command} {path} {status} in {round((time.monotonic() - begun) * 1000)}ms", flush=True)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == 405:
            self.send_header("Allow", "POST")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Log nothing else."""


for _method in ("GET", "POST", "PUT", "DELETE"):
    setattr(Handler, f"do_{_method}", Handler.answer)


def make(kind: str, user: str) -> str:
    """Make a session in the database, as a request does that has a connection of its own."""
    database = sessions.open_database(os.environ["DATABASE_URL"].removeprefix("file:"), [])
    try:
        return sessions.create(database, kind, user)
    finally:
        database.close()


def main() -> None:
    """Serve until the end."""
    sessions.open_database(os.environ["DATABASE_URL"].removeprefix("file:"), sys.argv[1:]).close()
    server = http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler)
    print(" ✓ Ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

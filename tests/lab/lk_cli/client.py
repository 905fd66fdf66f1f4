# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(lk)'s conversation with LiveKit Cloud: RPCs, log streams, uploads and builds.

Like the original it has no time limits.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import time
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

from lab.cloud_jwt import sign
from lab.lk_cli.output import LkError
from lab.lk_cli.project import Project

Message = dict[str, Any]
OLDEST_SDK = "2.11.3"
"""The SDK of 2.5.6, which leaves out what else a log's server says of an error."""
_PASSES_ERRORS_SINCE = (2, 13, 3)
"""Older SDKs take a line of the agent's that starts with C(ERROR:) for the end of the log."""
_MAX_LINE = 64 * 1024
"""The longest line, in bytes, that Go's bufio.Scanner takes."""


class CanceledError(Exception):
    """A signal asked the command to stop; the text says so as Go does."""


class CallError(LkError):
    """An RPC failed; C(msg) is what the server, or the way to it, says."""

    def __init__(self, code: str, msg: str) -> None:
        super().__init__(f"twirp error {code}: {msg}")
        self.msg = msg


class Client:
    """Talks to the agents' service of a project; C(version) is the SDK's."""

    def __init__(self, project: Project, version: str) -> None:
        self._project = project
        self._version = version
        self._ends_on_errors = tuple(map(int, version.split("."))) < _PASSES_ERRORS_SINCE

    def call(self, method: str, message: Message) -> Message:
        """Call a method of CloudAgent; raises C(CallError)."""
        url = f"{self._rpc_base()}/twirp/livekit.CloudAgent/{method}"
        try:
            with self._request("POST", url, json.dumps(message).encode(), "application/json") as response:
                body = response.read()
        except _TransportError as error:
            raise CallError("internal", f"failed to do request: {error}") from error
        except CanceledError as error:
            raise CallError("internal", f'failed to do request: Post "{url}": {error}') from error
        if response.status != 200:
            raise _call_error(response.status, response.reason, body)
        answer: Message = json.loads(body)
        return answer

    def logs(self, agent_id: str, log_type: str, deployment: str, region: str) -> Generator[str, None, None]:
        """Give the lines of a log for as long as the server sends them; raises C(LkError)."""
        query = {
            "agent_id": agent_id,
            **({"deployment": deployment} if deployment else {}),
            "log_type": log_type or "deploy",
        }
        with self._request("GET", f"{self._base(region)}/logs?{urlencode(query)}") as response:
            if response.status != 200:
                raise LkError(_log_error(response.read(), self._version))
            try:
                while line := response.readline(_MAX_LINE + 1):
                    if len(line) > _MAX_LINE:
                        raise LkError("scanner error: bufio.Scanner: token too long")
                    if self._ends_on_errors and line.startswith(b"ERROR:"):
                        raise LkError(line.decode(errors="replace").strip().removeprefix("ERROR: "))
                    yield line.decode(errors="replace").rstrip("\n").removesuffix("\r")
            except (http.client.HTTPException, OSError) as error:
                raise LkError("scanner error: unexpected EOF") from error
            except CanceledError as error:
                raise LkError(f"scanner error: {error}") from error

    def put(self, url: str, archive: bytes) -> None:
        """Send a deployment's source as C(lk) did before 2.12.1; raises C(LkError)."""
        with self._request("PUT", url, archive, "application/gzip", False) as response:
            text = response.read().decode(errors="replace")
        if response.status != 200:
            raise LkError(f"failed to upload tarball: {response.status}: {text}")

    def upload(self, request: Message, archive: bytes) -> None:
        """Send a deployment's source to its presigned address; raises C(LkError)."""
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in request["values"].items()
        ]
        name = request["values"].get("key", "upload.tar.gz")
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = "".join(parts).encode() + archive + f"\r\n--{boundary}--\r\n".encode()
        with self._request(
            "POST", request["url"], body, f"multipart/form-data; boundary={boundary}", False
        ) as response:
            text = response.read().decode(errors="replace")
        if response.status not in (200, 201, 204):
            raise LkError(f"multipart upload failed: failed to upload tarball: {response.status}: {text}")

    def build(self, agent_id: str, deployment: str) -> Iterator[Message]:
        """Have the source built and give BuildKit's messages about it; raises C(LkError)."""
        query = {"agent_id": agent_id, **({"deployment": deployment} if deployment else {})}
        with self._request("POST", f"{self._base('')}/build?{urlencode(query)}") as response:
            if response.status != 200:
                raise LkError(f"failed to build agent: {response.status} {response.reason}")
            while line := response.readline(_MAX_LINE + 1).decode(errors="replace"):
                if len(line) > _MAX_LINE:
                    raise LkError("bufio.Scanner: token too long")
                if line.startswith("BUILD ERROR:"):
                    raise LkError(line.rstrip("\n").removeprefix("BUILD ERROR: "))
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise LkError(f"decode error: {error}") from error

    def _rpc_base(self) -> str:
        url = re.sub(r"^ws", "http", self._project.url)
        return os.environ.get("LK_AGENTS_URL") or re.sub(r"^https?://[^.]+\.", "https://agents.", url)

    def _base(self, region: str) -> str:
        url = re.sub(r"^ws", "http", os.environ.get("LK_AGENTS_URL") or self._project.url)
        if "localhost" in url or "127.0.0.1" in url:
            return url
        return re.sub(r"^https://[a-zA-Z0-9-]+\.", f"https://{region + '.' if region else ''}agents.", url)

    @contextmanager
    def _request(
        self, method: str, url: str, body: bytes = b"", content_type: str = "", signed: bool = True
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request and give the answer while it is being read; raises C(_TransportError)."""
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port)
        headers = {"Content-Type": content_type, "Accept": content_type} if content_type else {}
        if signed:
            headers |= {"Authorization": f"Bearer {self._token()}", "X-LIVEKIT-CLI-VERSION": self._version}
        try:
            connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise _TransportError(
                f'{method.capitalize()} "{url}": {_reason(error, parts.hostname, parts.port)}'
            ) from error
        try:
            yield response
        finally:
            connection.close()

    def _token(self) -> str:
        now = int(time.time())
        claims = {"iss": self._project.api_key, "nbf": now, "exp": now + 6 * 3600, "agent": {"admin": True}}
        return sign(claims, self._project.api_secret)


class _TransportError(LkError):
    """No answer came; the text is Go's."""


def _reason(error: Exception, host: str | None, port: int | None) -> str:
    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {host}: no such host"
    if isinstance(error, http.client.HTTPException | ConnectionResetError):
        return "EOF"
    text = os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else str(error)
    return f"dial tcp {host}:{port}: connect: {text}"


def _call_error(status: int, reason: str, body: bytes) -> CallError:
    """Read a Twirp error; one in another form comes from something in between."""
    try:
        error = json.loads(body)
        if set(error) <= {"code", "msg", "meta"}:
            return CallError(error["code"], error["msg"])
    except (ValueError, TypeError, KeyError):
        pass
    codes = {400: "internal", 401: "unauthenticated", 403: "permission_denied", 404: "bad_route"}
    codes |= {429: "resource_exhausted", **dict.fromkeys((502, 503, 504), "unavailable")}
    code = codes.get(status, "unknown")
    return CallError(code, f'Error from intermediary with HTTP status code {status} "{reason}"')


def _log_error(body: bytes, version: str) -> str:
    try:
        error = json.loads(body)
        meta = " ".join(f"{name}:{value}" for name, value in sorted(error.get("meta", {}).items()))
        text = f"failed to get logs: {error.get('msg', '')}"
        return text if version == OLDEST_SDK else f"{text} - map[{meta}]"
    except (ValueError, AttributeError):
        first = body.decode(errors="replace").strip()[:1]
        why = f"invalid character '{first}' looking for beginning of value" if first else "unexpected end of JSON input"
        return f"failed to parse error response: {why}"

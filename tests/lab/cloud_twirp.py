# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twirp on the server's side: requests and replies as protobuf or JSON, errors as JSON.

The protocol: https://twitchtv.github.io/twirp/docs/spec_v7.html
"""

from __future__ import annotations

from typing import TypeVar

from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

STATUS = {
    "canceled": 408,
    "unknown": 500,
    "invalid_argument": 400,
    "malformed": 400,
    "deadline_exceeded": 408,
    "not_found": 404,
    "bad_route": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "unauthenticated": 401,
    "resource_exhausted": 429,
    "failed_precondition": 412,
    "aborted": 409,
    "out_of_range": 400,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
    "dataloss": 500,
}
"""Twirp's error codes and the HTTP status each is sent with."""

_JSON, _PROTOBUF = "application/json", "application/protobuf"
_M = TypeVar("_M", bound=Message)


class TwirpError(Exception):
    """An error as the client gets it: a code of C(STATUS), a message, and an HTTP status, by default the code's."""

    def __init__(self, code: str, msg: str, status: int | None = None) -> None:
        super().__init__(msg)
        self.code = code
        self.msg = msg
        self.status = status or STATUS.get(code, 500)

    def response(self) -> web.Response:
        """The error as every Twirp server sends it: JSON, whatever the request was."""
        return web.json_response({"code": self.code, "msg": self.msg}, status=self.status)


class RefusedTokenError(TwirpError):
    """What LiveKit says of a token that it does not take: before Twirp comes to it, and so in plain text."""

    def __init__(self, msg: str) -> None:
        super().__init__("unauthenticated", msg)

    def response(self) -> web.Response:
        """The error as livekit-server sends it."""
        return web.Response(text=self.msg, status=self.status)


async def read(request: web.Request, kind: type[_M]) -> _M:
    """Give the request's message; raises C(TwirpError) for a body or a content type that Twirp refuses."""
    body = await request.read()
    try:
        if request.content_type == _PROTOBUF:
            return kind.FromString(body)
        if request.content_type == _JSON:
            return json_format.Parse(body or b"{}", kind(), ignore_unknown_fields=True)
    except (DecodeError, json_format.ParseError, UnicodeDecodeError) as error:
        raise TwirpError("malformed", f"the request could not be decoded: {error}") from error
    raise TwirpError("bad_route", f'unexpected Content-Type: "{request.content_type}"')


def reply(request: web.Request, message: Message) -> web.Response:
    """Answer with C(message) in the request's own encoding; JSON has every field, named as in the C(.proto) file."""
    if request.content_type == _PROTOBUF:
        return web.Response(body=message.SerializeToString(), content_type=_PROTOBUF)
    text = json_format.MessageToJson(
        message, indent=None, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return web.Response(text=text, content_type=_JSON)

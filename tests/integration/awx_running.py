# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for AWX's REST API on loopback: lists by field, creates, changes, associates and deletes; it runs no jobs.

It is generic, and strict where AWX 24.6 is: a token, objects that must exist, secrets that come back as
C($encrypted$), what a schedule's rule and a survey must have, edges that only nodes have, and a credential type in use
that cannot be deleted.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN = "token-of-the-stand-in"
ENCRYPTED = "$encrypted$"
NODES = "workflow_job_template_nodes"
UNIFIED = ("projects", "job_templates", "workflow_job_templates", "workflow_approval_templates")
TOLD = tuple(f"notification_templates_{event}" for event in ("started", "success", "error"))
# What may be associated with what.
LISTS = {
    "groups": ("hosts", "children"),
    "job_templates": ("credentials", "labels", "instance_groups", *TOLD),
    "projects": TOLD,
    "organizations": (*TOLD, "notification_templates_approvals", "galaxy_credentials"),
    "workflow_job_templates": (*TOLD, "notification_templates_approvals", "labels"),
    NODES: ("success_nodes", "failure_nodes", "always_nodes", "credentials"),
    "schedules": ("credentials", "labels"),
}
# Which field of an object names another one, and of what kind it is.
REFERS = {
    "organization": "organizations",
    "inventory": "inventories",
    "project": "projects",
    "credential_type": "credential_types",
    "execution_environment": "execution_environments",
    "default_environment": "execution_environments",
    "workflow_job_template": "workflow_job_templates",
    "unified_job_template": "unified_job_templates",
}
# With these goes what refers to them.
OWNERS = ("organization", "inventory", "workflow_job_template", "unified_job_template")
KINDS = {*REFERS.values(), *LISTS, "hosts", "credentials", "notification_templates", "workflow_approval_templates"}
QUESTION_TYPES = {"text": str, "textarea": str, "password": str, "integer": int, "float": (int, float)}


class RefusedError(Exception):
    """An answer of the API that is not what was asked for."""

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(f"{status}: {detail}")
        self.status, self.detail = status, detail


def singular(kind: str) -> str:
    return kind[:-3] + "y" if kind.endswith("ies") else kind[:-1]


def check_survey(spec: dict[str, Any]) -> None:
    """Refuse what AWX's own check of a survey refuses."""
    if not {"name", "description", "spec"} <= set(spec) or not spec["spec"]:
        raise RefusedError(400, {"error": "A survey has a name, a description, and a spec with questions."})
    for item in spec["spec"]:
        kind, default = item.get("type"), item.get("default", "")
        if not {"type", "question_name", "variable", "required"} <= set(item) or not isinstance(item["required"], bool):
            raise RefusedError(400, {"error": f"Something is missing from the question {item}."})
        if any(item.get(key) is not None and not isinstance(item[key], int) for key in ("min", "max")):
            raise RefusedError(400, {"error": f"The limits of {item['variable']} are expected to be integers."})
        if kind in ("multiplechoice", "multiselect"):
            if any(choice not in item["choices"] for choice in default.splitlines()):
                raise RefusedError(400, {"error": f"The default of {item['variable']} is none of its choices."})
        elif kind not in QUESTION_TYPES or (default != "" and not isinstance(default, QUESTION_TYPES[kind])):
            raise RefusedError(400, {"error": f"The type of {item['variable']} or of its default is wrong."})


class Awx:
    """All that stands in AWX, and what was asked of it."""

    def __init__(self) -> None:
        self.ids = itertools.count(1)
        self.kept: dict[str, dict[int, dict[str, Any]]] = {kind: {} for kind in KINDS}
        self.lists: dict[tuple[int, str], list[int]] = {}
        self.surveys: dict[int, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.create(
            "credential_types", {"name": "Machine", "inputs": {"fields": [{"id": "ssh_key_data", "secret": True}]}}
        )

    def named(self, kind: str) -> dict[str, dict[str, Any]]:
        """The objects of a kind by their name, or a node's identifier."""
        return {item.get("name") or item["identifier"]: item for item in self.kept[kind].values()}

    def changes(self) -> list[str]:
        """What was asked for that changes something, since the last time."""
        found = [f"{method} {path}" for method, path, _body in self.requests if method != "GET"]
        self.requests.clear()
        return found

    def all_of(self, kind: str) -> dict[int, dict[str, Any]]:
        if kind == "unified_job_templates":
            return {number: item for one in UNIFIED for number, item in self.kept[one].items()}
        return self.kept[kind]

    def find(self, kind: str, number: int) -> dict[str, Any]:
        try:
            return self.all_of(kind)[number]
        except KeyError:
            raise RefusedError(404, {"detail": "Not found."}) from None

    def shown(self, item: dict[str, Any]) -> dict[str, Any]:
        """An object as the API shows it: what is secret is not."""
        seen = copy.deepcopy(item)
        if item["type"] == "credential":
            kind = self.find("credential_types", item["credential_type"])
            secret = {field["id"] for field in kind["inputs"]["fields"] if field.get("secret")}
            seen["inputs"] = {name: ENCRYPTED if name in secret else value for name, value in seen["inputs"].items()}
        return seen

    def matches(self, item: dict[str, Any], query: dict[str, str]) -> bool:
        """Tell whether the object has all these values; C(a__b) is a field of what C(a) refers to."""

        def value(path: str) -> str:
            head, _two, rest = path.partition("__")
            got = item.get(head)
            return str(self.find(REFERS[head], got).get(rest) if rest and got is not None else got)

        either = {name.removeprefix("or__"): query[name] for name in query if name.startswith("or__")}
        both = {name: query[name] for name in query if not name.startswith("or__")}
        return all(value(name) == wanted for name, wanted in both.items()) and (
            not either or any(value(name) == wanted for name, wanted in either.items())
        )

    def check(self, kind: str, fields: dict[str, Any]) -> None:
        for field, number in fields.items():
            if field in REFERS and number not in (None, ""):
                self.find(REFERS[field], int(number))
        if kind == "schedules":
            rule = fields.get("rrule", "")
            if not re.search(r"^DTSTART;TZID=\S+:\d{8}T\d{6} RRULE:", rule) or "INTERVAL=" not in rule:
                raise RefusedError(400, {"rrule": ["DTSTART with a time zone, and INTERVAL, are required."]})
            self.check_answers(fields["unified_job_template"], fields.get("extra_data"))
        if kind == NODES and fields.get("unified_job_template"):
            self.check_answers(fields["unified_job_template"], fields.get("extra_data"))

    def check_answers(self, number: int, answers: dict[str, Any] | None) -> None:
        """Refuse variables that the template's survey does not ask for, and answers that it does not offer."""
        asked = {item["variable"]: item for item in self.surveys.get(number, {}).get("spec", [])}
        for name, answer in (answers or {}).items():
            given = answer if isinstance(answer, list) else [answer]
            if name not in asked or any(one not in asked[name].get("choices", given) for one in given):
                raise RefusedError(400, {"extra_data": [f"{name}: {answer} is not allowed on launch."]})
        if missing := [name for name, item in asked.items() if item["required"] and name not in (answers or {})]:
            raise RefusedError(400, {"variables_needed_to_start": missing})

    def create(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        self.check(kind, fields)
        number = next(self.ids)
        url = f"/api/v2/{kind}/{number}/"
        related = {"survey_spec": f"{url}survey_spec/"} if kind.endswith("job_templates") else {}
        item = {**fields, "id": number, "type": singular(kind), "url": url, "related": related, "summary_fields": {}}
        if kind == "projects":
            item["scm_revision"] = "0" * 40
        self.kept[kind][number] = item
        return item

    def delete(self, kind: str, number: int) -> None:
        item = self.find(kind, number)
        if kind == "credential_types" and any(
            one["credential_type"] == number for one in self.kept["credentials"].values()
        ):
            raise RefusedError(403, {"detail": "Credential types that are in use cannot be deleted."})
        del self.kept[kind][number]
        if kind == NODES and item.get("unified_job_template") in self.kept["workflow_approval_templates"]:
            del self.kept["workflow_approval_templates"][item["unified_job_template"]]
        for other, field in itertools.product(KINDS - {"unified_job_templates"}, REFERS):
            for one in list(self.kept[other].values()):
                if one.get(field) == item["id"] and one["id"] in self.kept[other]:
                    if field in OWNERS and other not in ("job_templates", "projects"):
                        self.delete(other, one["id"])
                    else:
                        one[field] = None

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """Answer one request with a status and what JSON to send."""
        kind, number, rest = [*path.removeprefix("/api/v2/").strip("/").split("/"), "", ""][:3]
        if kind not in KINDS:
            raise RefusedError(404, {"detail": "Not found."})
        if not number:
            return self.answer_collection(method, kind, query, body)
        item = self.find(kind, int(number))
        if rest == "survey_spec" and kind.endswith("job_templates"):
            if method == "POST":
                check_survey(body)
                self.surveys[item["id"]] = body
            return 200, self.surveys.get(item["id"], {})
        if rest == "create_approval_template" and kind == NODES:
            made = self.create("workflow_approval_templates", body)
            item["unified_job_template"], item["related"]["unified_job_template"] = made["id"], made["url"]
            return 201, made
        if rest:
            return self.answer_list(method, kind, item["id"], rest, body)
        if method == "PATCH":
            self.check(kind, {**item, **body})
            item.update(body)
        elif method == "DELETE":
            self.delete(kind, item["id"])
            return 204, None
        return 200, self.shown(item)

    def answer_collection(self, method: str, kind: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if method == "POST":
            return 201, self.shown(self.create(kind, body))
        found = [self.shown(item) for item in self.all_of(kind).values() if self.matches(item, query)]
        return 200, {"count": len(found), "next": None, "previous": None, "results": found}

    def answer_list(self, method: str, kind: str, number: int, name: str, body: Any) -> tuple[int, Any]:
        if name not in LISTS.get(kind, ()):
            raise RefusedError(404, {"detail": "Not found."})
        there = self.lists.setdefault((number, name), [])
        if method == "POST":
            there.remove(body["id"]) if body.get("disassociate") else there.append(body["id"])
            return 204, None
        return 200, {"count": len(there), "next": None, "results": [{"id": one} for one in there]}


@contextlib.contextmanager
def awx_running() -> Iterator[tuple[str, Awx]]:
    """Serve an empty AWX; give its address, and what is in it."""
    awx = Awx()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            asked = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            with lock:
                awx.requests.append((self.command, self.path, body))
                try:
                    if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                        raise RefusedError(401, {"detail": "Authentication credentials were not provided."})
                    status, told = awx.answer(self.command, asked.path, dict(parse_qsl(asked.query)), body)
                except RefusedError as exc:
                    status, told = exc.status, exc.detail
                sent = b"" if told is None else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    for method in ("GET", "POST", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.respond)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", awx
        finally:
            server.shutdown()

# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls LiveKit's command line program, C(lk) 2.5 to 2.18, so that it neither asks, hangs, nor takes another project.

What is known of its versions comes from its sources (github.com/livekit/livekit-cli, tags v2.5.0 to v2.18.2):
which lines go where, how a missing terminal is met, how a project is chosen. Only L(act) changes the cloud.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

from ansible_collections.voiceops.livekit.plugins.module_utils import process
from ansible_collections.voiceops.livekit.plugins.module_utils.livekit_url import http_url
from ansible_collections.voiceops.livekit.plugins.module_utils.lk_output import (
    Version,
    parse_json,
    parse_table,
    parse_toml,
    parse_version,
    plain,
    subdomain,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip, of_environment, redact

JSON_SINCE: Version = (2, 17, 0)
YES_SINCE: Version = (2, 14, 0)
OLDEST: Version = (2, 5, 0)
TOML = "livekit.toml"
CREDENTIALS = ("livekit_api_key", "livekit_api_secret")
_PROJECT = re.compile(r"^Using (?:default )?project \[(.*)\]", re.M)
_AGENT = re.compile(r"^Using agent \[(.*)\]", re.M)


class LkError(Exception):
    """C(lk) could not answer. C(reason) is one word of the table below, the text says what to do about it.

    Reasons without a pattern: C(missing), C(old), C(options), C(timeout), C(output), C(failed).
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class Session(NamedTuple):
    """How to call C(lk) for one project and agent; with C(api_url), how to ask LiveKit's agent API without lk."""

    program: str
    directory: str
    environment: dict[str, str]
    version: Version | None
    agent_id: str | None
    has_credentials: bool
    subdomain: str | None
    toml_subdomain: str | None
    secrets: tuple[str, ...]
    api_url: str | None = None


class Answer(NamedTuple):
    """What one reading command printed: a JSON document, or the rows of a table by header name."""

    document: dict[str, Any] | None
    rows: list[dict[str, str]]
    project: str | None
    agent_id: str | None


# In this order: the first pattern that is found in an error decides.
_ERRORS: tuple[tuple[str, str, str], ...] = (
    (
        r"^panic:|^goroutine \d+ \[",
        "panic",
        "lk crashed; `lk agent logs` is known to, for an agent that has no deployment",
    ),
    (
        r"resource.exhausted|too many requests|rate.?limit|\b429\b",
        "rate_limited",
        "LiveKit takes no more calls for now (its limit is about 1,000 a minute for a project): try again in a minute",
    ),
    (
        r"no project selected|no projects? configured|api-key is required|api-secret is required",
        "not_logged_in",
        "lk is not logged in to a project: run `lk cloud auth`, or set voiceops_livekit_url, voiceops_livekit_api_key "
        "and voiceops_livekit_api_secret",
    ),
    (
        r"multiple projects configured",
        "no_project",
        "lk knows several projects and none is chosen: set voiceops_agent_dir to the folder with livekit.toml, or "
        "voiceops_livekit_url, voiceops_livekit_api_key and voiceops_livekit_api_secret",
    ),
    (
        r"project not found",
        "no_project",
        "lk is not logged in to the project that is asked for: run `lk cloud auth`, or set voiceops_livekit_url, "
        "voiceops_livekit_api_key and voiceops_livekit_api_secret",
    ),
    (
        r"project does not match agent subdomain|invalid project URL",
        "project_mismatch",
        "livekit.toml belongs to another project than lk uses: correct voiceops_agent_dir or voiceops_livekit_url",
    ),
    (
        r"set --id when multiple agents exist",
        "no_agent_id",
        "the project has several agents, or none: set voiceops_agent_id, or voiceops_agent_dir to the folder with "
        "livekit.toml",
    ),
    (
        r"no agents found|no agent deployments found|agent not found|twirp error not_found",
        "no_agent",
        "the project has no such agent: check voiceops_agent_id, livekit.toml and the project",
    ),
    (
        r"could not open a new TTY",
        "prompt",
        "lk asked a question and there is no terminal: set voiceops_agent_id, voiceops_livekit_url, "
        "voiceops_livekit_api_key and voiceops_livekit_api_secret",
    ),
    (
        r"unauthenticated|unauthorized|permission.denied|no permissions|agent hosting is disabled"
        r"|invalid (?:api.?key|token|authorization)|status(?: code)? 40[13]\b",
        "unauthorized",
        "LiveKit refuses the credentials: check voiceops_livekit_api_key, voiceops_livekit_api_secret and this host's "
        "clock, or run `lk cloud auth` again",
    ),
    (
        r"failed to do request|dial tcp|no such host|connection refused|i/o timeout|TLS handshake|x509:"
        r"|network is unreachable|context deadline exceeded|connection reset",
        "network",
        "LiveKit cannot be reached from this host: check its network, and voiceops_livekit_url",
    ),
    (
        r"Error from intermediary|status(?: code)? 5\d\d\b|twirp error (?:internal|unavailable|unknown)",
        "unavailable",
        "LiveKit answers with an error of its own: try again, and look at its status page",
    ),
    (r"flag provided but not defined|No help topic for", "unsupported", "this lk does not know the command: update it"),
)
_ERROR_PATTERNS = tuple((re.compile(pattern, re.I | re.M), reason, advice) for pattern, reason, advice in _ERRORS)


def prepare(options: Mapping[str, Any]) -> Session:
    """Check the options and read livekit.toml; raise LkError if one of them will not do. Nothing is asked yet."""
    directory = options.get("agent_dir")
    toml = read_toml(directory) if directory else {}
    url = options.get("livekit_url") or ""
    try:
        if url:
            http_url(url)
    except ValueError as exc:
        raise LkError("options", str(exc)) from None
    has_credentials = _check_credentials(options, url)
    session = Session(
        program=options.get("lk") or "lk",
        directory=os.path.expanduser(directory) if directory else os.sep,
        environment=_environment(options, has_credentials),
        version=None,
        agent_id=options.get("agent_id") or toml.get("agent_id"),
        has_credentials=has_credentials,
        subdomain=subdomain(url),
        toml_subdomain=toml.get("subdomain"),
        secrets=secrets_of(options),
    )
    _check_subdomain(session, url)
    return session


def open_session(options: Mapping[str, Any], deadline: float) -> Session:
    """Prepare a session, and ask C(lk) for its version; raise LkError if there is none, or it will not do."""
    session = prepare(options)
    if not session.agent_id:
        raise LkError(
            "no_agent_id",
            "voiceops_agent_id: expected the cloud agent's id (CA_…), or voiceops_agent_dir with a livekit.toml, "
            "got neither",
        )
    version = parse_version(_run(session, ["--version"], deadline).stdout)
    if version and version < OLDEST:
        raise LkError("old", f"voiceops_lk: expected lk 2.5 or newer, got {'.'.join(map(str, version))}: update it")
    return session._replace(version=version)


def secrets_of(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the secrets among the options, to be masked."""
    credentials = (str(options[name]) for name in CREDENTIALS if options.get(name))
    return (*credentials, *of_environment(options.get("lk_environment") or {}))


def read(session: Session, what: str, deadline: float) -> Answer:
    """Run C(lk agent status), C(versions) or C(secrets), as JSON where this version can; raise LkError if it fails."""
    as_json = session.version is not None and session.version >= JSON_SINCE
    result = call(session, [what, "--json"] if as_json else [what], deadline)
    check(session, result)
    document = parse_json(result.stdout) if as_json else None
    rows = None if as_json else parse_table(result.stdout)
    if document is None and rows is None:
        raise LkError("output", f"`lk agent {what}` printed neither a table nor JSON: {said(session, result)}")
    return Answer(document, rows or [], project(session, result), _found(_AGENT, result))


def call(
    session: Session,
    arguments: list[str],
    deadline: float,
    *,
    limit_bytes: int = process.LIMIT_BYTES,
    stop_when: process.StopWhen | None = None,
) -> process.Result:
    """Run C(lk agent) with C(arguments) and the agent's id, and return what it did with terminal codes taken out."""
    argv = ["agent", *arguments, *(["--id", session.agent_id] if session.agent_id else [])]
    return _run(session, argv, deadline, limit_bytes, stop_when)


def act(
    session: Session, arguments: list[str], deadline: float, *, by_id: bool = True, heard: process.Heard | None = None
) -> process.Result:
    """Run a command of C(lk agent) that changes the cloud, so that it asks nothing; C(heard) gets its error output.

    C(by_id) says whether the command takes the agent's id: C(deploy) has no such option, in any version.
    """
    yes = ["--yes"] if session.version and session.version >= YES_SINCE else []
    identity = ["--id", session.agent_id] if by_id and session.agent_id else []
    return _run(session, ["agent", *arguments, *identity, *yes], deadline, heard=heard)


def check(session: Session, result: process.Result) -> None:
    """Raise LkError if the command failed, was too late, or worked on another project than asked for."""
    if result.timed_out:
        raise LkError("timeout", f"lk gave no answer in time: {said(session, result) or 'it printed nothing'}")
    if result.returncode != 0:
        _fail(session, result)
    project(session, result)


def configured_project(options: Mapping[str, Any]) -> str | None:
    """Return the project's subdomain in the livekit.toml of C(agent_dir); None if there is none."""
    try:
        return read_toml(options["agent_dir"]).get("subdomain") if options.get("agent_dir") else None
    except LkError:
        return None


def project(session: Session, result: process.Result) -> str | None:
    """Return the project that was used; raise LkError if it is, or may be, another than asked for.

    lk ≥ 2.14 silently takes the only project that it knows when the one that was asked for is missing. With credentials
    there is no choice to make, and with a livekit.toml lk itself compares the subdomains; what is left is checked here.
    """
    name = _found(_PROJECT, result)
    asked = session.subdomain
    if session.has_credentials and name is not None:
        raise LkError("wrong_project", f"lk used its own project [{name}] in place of the credentials given")
    if asked and not session.has_credentials and not session.toml_subdomain and (name or "").lower() != asked.lower():
        used = f"lk used the project [{name}]" if name else "lk does not say which project it used"
        raise LkError(
            "wrong_project",
            f"voiceops_livekit_url names the project {asked!r}, but {used}: set voiceops_livekit_api_key and "
            "voiceops_livekit_api_secret, or voiceops_agent_dir",
        )
    return name or asked or session.toml_subdomain


def command(options: Mapping[str, Any], *subcommands: str) -> str:
    """Return what a person would type; it holds no secret."""
    program = process.shell_word(options.get("lk") or "lk")
    identity = f" --id {shlex.quote(str(options['agent_id']))}" if options.get("agent_id") else ""
    calls = [f"{program} agent {subcommand}{identity}" for subcommand in subcommands]
    directory = str(options.get("agent_dir") or "")
    # Where LiveKit is asked from another host than lk's, the folder need not be there.
    is_here = os.path.isdir(os.path.expanduser(directory))
    return " && ".join([f"cd {process.shell_word(directory)}", *calls] if is_here else calls)


def read_toml(directory: str) -> dict[str, str]:
    """Return C(subdomain) and C(agent_id) of the livekit.toml in a folder, empty if it has none; raise LkError."""
    folder = os.path.expanduser(directory)
    if not os.path.isdir(folder):
        raise LkError(
            "options", f"voiceops_agent_dir: expected a folder with {TOML}, got {directory!r}: no such folder"
        )
    try:
        with open(os.path.join(folder, TOML), encoding="utf-8", errors="replace") as file:
            return parse_toml(file.read(process.LIMIT_BYTES))
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise LkError("options", f"voiceops_agent_dir: {TOML} cannot be read: {exc.strerror}") from exc


def _check_credentials(options: Mapping[str, Any], url: str) -> bool:
    """Whether all credentials are given; a part of them is an error, since lk would fill in the rest from elsewhere."""
    missing = [f"voiceops_{name}" for name in CREDENTIALS if not options.get(name)]
    if len(missing) == 1:
        raise LkError(
            "options", f"{missing[0]}: expected a value beside the other half of the credentials, got nothing"
        )
    if not missing and not url:
        raise LkError("options", "voiceops_livekit_url: expected the URL that the credentials belong to, got nothing")
    return not missing


def _check_subdomain(session: Session, url: str) -> None:
    if url and session.toml_subdomain and session.toml_subdomain != session.subdomain:
        raise LkError(
            "project_mismatch",
            f"{TOML} in voiceops_agent_dir belongs to the project {session.toml_subdomain!r}, voiceops_livekit_url to "
            f"{session.subdomain or redact(url)!r}: correct one of them",
        )


def _environment(options: Mapping[str, Any], has_credentials: bool) -> dict[str, str]:
    """Our own environment without what would colour lk's output or choose its project, and with the credentials."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "CLICOLOR_FORCE" and not name.startswith("LIVEKIT_")
    }
    kept.setdefault("HOME", os.path.expanduser("~"))
    # TERM=dumb would make lk read its answers from the input.
    kept.update({"CI": "1", "NO_COLOR": "1", "TERM": "xterm", "LC_ALL": "C.UTF-8"})
    if has_credentials:
        kept["LIVEKIT_URL"] = str(options["livekit_url"])
        kept["LIVEKIT_API_KEY"] = str(options["livekit_api_key"])
        kept["LIVEKIT_API_SECRET"] = str(options["livekit_api_secret"])
    more = {str(name): str(value) for name, value in (options.get("lk_environment") or {}).items()}
    if any(not name or "=" in name or "\0" in name + value for name, value in more.items()):
        raise LkError("options", "voiceops_lk_environment: expected names without =, and no null characters")
    return {**kept, **more}


def _run(
    session: Session,
    arguments: list[str],
    deadline: float,
    limit_bytes: int = process.LIMIT_BYTES,
    stop_when: process.StopWhen | None = None,
    heard: process.Heard | None = None,
) -> process.Result:
    try:
        result = process.run(
            [os.path.expanduser(session.program), *arguments],
            deadline=deadline,
            cwd=session.directory,
            env=session.environment,
            limit_bytes=limit_bytes,
            stop_when=stop_when,
            heard=heard,
        )
    except process.ProgramError as exc:
        raise LkError(
            "missing", f"voiceops_lk: expected the lk program, got: {exc}; install it, or set voiceops_lk"
        ) from exc
    return result._replace(stdout=plain(result.stdout), stderr=plain(result.stderr))


def _fail(session: Session, result: process.Result) -> NoReturn:
    words = said(session, result)
    for pattern, reason, advice in _ERROR_PATTERNS:
        if pattern.search(result.stderr):
            raise LkError(reason, f"{advice} (lk said: {words})")
    raise LkError("failed", f"lk failed with exit code {result.returncode}: {words or 'it said nothing'}")


def said(session: Session, result: process.Result) -> str:
    """Return the first line of the error, or of the output, that says something; fit to be shown."""
    lines = [line.strip() for text in (result.stderr, result.stdout) for line in text.split("\n")]
    telling = [line for line in lines if line and not line.startswith("Using ")]
    return clip(redact(telling[0], session.secrets), 300) if telling else ""


def _found(pattern: re.Pattern[str], result: process.Result) -> str | None:
    match = pattern.search(result.stderr) or pattern.search(result.stdout)
    return match[1] if match else None

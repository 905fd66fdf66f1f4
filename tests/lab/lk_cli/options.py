# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options and commands of C(lk), and how its command line is read (urfave/cli 3.4.1 in 2.13.2, 3.9.0 in 2.18.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lab.lk_cli.output import JSON_SINCE, SKIPS_PROMPTS_SINCE, LkError, Version

Values = dict[str, Any]
"""Option name to value: text, True, or a list of texts; an option that was not given is absent."""


class UsageError(LkError):
    """The command line cannot be read."""


@dataclass(frozen=True)
class Flag:
    """An option: C(kind) is text, bool or list (may be repeated)."""

    name: str
    usage: str = ""
    kind: str = "text"
    aliases: tuple[str, ...] = ()
    required: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)


@dataclass(frozen=True)
class Command:
    """A command of C(lk agent)."""

    name: str
    usage: str
    flags: tuple[Flag, ...] = ()
    aliases: tuple[str, ...] = ()
    arguments: str = "[working-dir]"


HELP = Flag("help", "show help", "bool", ("h",))
VERSION = Flag("version", "print the version", "bool", ("v",))
_ID = Flag("id", "ID of the agent.")
_JSON = Flag("json", "Output as JSON", "bool", ("j",))
_DEPLOYMENT = Flag("deployment", "Agent deployment", aliases=("d",))
_SILENT = Flag("silent", "If set, will not prompt for confirmation", "bool")
_ATTRIBUTES = (Flag("attributes", "JSON of key-value pairs."), Flag("attribute", "KEY=VALUE pair.", "list"))
_SECRETS = (
    Flag("secrets", "KEY=VALUE secret, injected as an environment variable into the agent.", "list"),
    Flag("secrets-file", "FILE containing secret KEY=VALUE pairs, one per line."),
    Flag("secret-mount", "Local path to a secret file to be mounted on agent environment", "list"),
    Flag("ignore-empty-secrets", "If set, will skip environment variables with empty values", "bool"),
)
_GLOBAL = (
    Flag("url", "URL to LiveKit instance"),
    Flag("api-key", "Your KEY"),
    Flag("api-secret", "Your SECRET"),
    Flag("dev", "Use developer credentials for local LiveKit server", "bool"),
    Flag("project", "NAME of a configured project"),
    Flag("subdomain", "SUBDOMAIN of a configured project"),
    Flag("config", "Config TOML to use in the working directory"),
    Flag("curl", "Print curl commands for API actions", "bool"),
    Flag("verbose", "", "bool"),
    Flag("server-url"),
    Flag("dashboard-url"),
)
_YES = Flag("yes", "Assume yes for confirmations", "bool", ("y",))
_QUIET = Flag("quiet", "Suppress informational output", "bool", ("q", "silent"))
# Since when each of them is there; "silent" belongs to some commands before it is one for all.
_SINCE = {"secret-mount": (2, 6, 3), "ignore-empty-secrets": (2, 13, 2)}


def global_flags(version: Version) -> tuple[Flag, ...]:
    """The options that are accepted before and after every command."""
    added = ((_YES, SKIPS_PROMPTS_SINCE), (_QUIET, (2, 16, 5)))
    return (*_GLOBAL, *(flag for flag, since in added if version >= since))


def commands(version: Version) -> dict[str, Command]:
    """The commands of C(lk agent) by name and alias."""
    new = version >= (2, 18)
    as_json = (_JSON,) if version >= JSON_SINCE else ()
    secrets = tuple(flag for flag in _SECRETS if version >= _SINCE.get(flag.name, (0,)))
    deploy = (
        *((*_ATTRIBUTES, Flag("no-default-attributes", kind="bool"), _DEPLOYMENT) if new else ()),
        *((Flag("region"),) if version >= SKIPS_PROMPTS_SINCE else ()),
        *((_SILENT,) if version == (2, 13, 0) or (2, 13, 2) <= version < (2, 16, 5) else ()),
    )
    known = (
        Command(
            "deploy", "Deploy a new version of the agent", (*secrets, *deploy, Flag("skip-sdk-check", kind="bool"))
        ),
        Command("status", "Get the status of an agent", (_ID, *as_json)),
        Command("restart", "Restart an agent", (_ID,)),
        Command(
            "rollback",
            "Rollback an agent to a previous version",
            (
                Flag("version", "Version to rollback to, defaults to most recent previous to current.", required=True),
                _ID,
            ),
        ),
        Command(
            "logs",
            "Tail logs from agent",
            (_ID, Flag("log-type", "Type of logs to retrieve."), *((_DEPLOYMENT,) if new else ())),
            ("tail",),
        ),
        Command("versions", "List versions of an agent", (_ID, *(_ATTRIBUTES if new else ()), *as_json)),
        Command("list", "List all LiveKit Cloud Agents", (Flag("id", "IDs of agent(s)", "list"), *as_json), (), ""),
        Command("secrets", "List secrets for an agent", (_ID, *as_json)),
        Command(
            "update-secrets",
            "Update secrets for an agent, will cause a re-start of the agent.",
            (*secrets, _ID, Flag("overwrite", "If set, will overwrite existing secrets", "bool")),
        ),
    )
    return {name: command for command in known for name in (command.name, *command.aliases)}


@dataclass
class Parsed:
    """One level of the command line: its options, and what was left to the next level or as arguments."""

    values: Values = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)


def parse(arguments: list[str], flags: tuple[Flag, ...], subcommands: set[str], new: bool) -> Parsed:
    """Read one level of the command line; raises C(UsageError) for an option that is not in C(flags).

    Up to 2.16.4 an empty argument ends the reading, and C(--name=) takes the next argument.
    """
    by_name = {name: flag for flag in flags for name in flag.names}
    parsed, queue = Parsed(), list(arguments)
    while queue:
        word = queue.pop(0).strip()
        if not word and not new:
            break
        if word == "--" or word in subcommands:
            parsed.rest += queue if word == "--" else [word, *queue]
            break
        if word.startswith("-") and word != "-":
            _read_option(word, queue, by_name, parsed.values, new)
        else:
            parsed.rest.append(word)
    return parsed


def _read_option(word: str, queue: list[str], by_name: dict[str, Flag], values: Values, new: bool) -> None:
    name, equals, value = word.lstrip("-").partition("=")
    flag = by_name.get(name)
    if flag is None:
        raise UsageError(f"flag provided but not defined: -{name}")
    if flag.kind == "bool":
        values[flag.name] = value != "false"
        return
    if not value and not (new and equals):
        if not queue:
            raise UsageError(f"flag needs an argument: {word}")
        value = queue.pop(0)
    if flag.kind == "list":
        values.setdefault(flag.name, []).append(value)
    else:
        values[flag.name] = value


def help_text(path: str, usage: str, synopsis: str, entries: dict[str, str], flags: tuple[Flag, ...]) -> str:
    """Write a help page: C(entries) are the subcommands and their usage."""
    parts = [f"NAME:\n   {path} - {usage}", f"USAGE:\n   {path} {synopsis}".rstrip()]
    if entries:
        parts.append("COMMANDS:\n" + "\n".join(f"   {name}  {text}" for name, text in entries.items()))
    options = (f"   {', '.join('-' * min(2, len(n)) + n for n in flag.names)}  {flag.usage}".rstrip() for flag in flags)
    parts.append("OPTIONS:\n" + "\n".join(options))
    return "\n\n".join(parts) + "\n"

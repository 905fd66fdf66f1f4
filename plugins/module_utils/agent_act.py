# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change of the agent at work: its steps, what it found before and after, and the result that tells of it."""

from __future__ import annotations

import contextlib
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import agent_via, lk, process
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_watch import Ending, Look, Watch, follow
from ansible_collections.voiceops.livekit.plugins.module_utils.lk_output import plain
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip, redact
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339

Tell = Callable[[str], object]
Step = dict[str, Any]
DEADLINE_S, SETTLE_S = 900.0, 60.0
# A look takes a second, and a command other than deploy little more: lk itself knows no limit.
CALL_S = 60.0
# The last lines that are kept of a command's output, and how much of each.
LAST_LINES = 20
LINE_LENGTH = 300
# BuildKit's plain progress: every line has the number of its step, and a step's first one also its name.
BUILD_LINE = re.compile(r"#\d+(?: |$)")
_BUILD_STEP = re.compile(r"#\d+ \[")


class ChangeError(Exception):
    """The change failed. C(reason) is one word for programs, the text says what is so and what to do about it."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class Steps:
    """Notes what was done, in order; shows a build's steps as they begin."""

    def __init__(self, tell: Tell, secrets: tuple[str, ...]) -> None:
        self.done: list[Step] = []
        self._tell = tell
        self._secrets = secrets

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[Step]:
        """Note a step, whether or not it fails; its C(output) may be filled in meanwhile."""
        began = time.monotonic()
        entry: Step = {"at": rfc3339(time.time()), "what": what, "took_s": 0.0, "output": []}
        self.done.append(entry)
        try:
            yield entry
        finally:
            entry["took_s"] = round(time.monotonic() - began, 2)

    def lines(self, entry: Step) -> Lines:
        """Return what takes in a program's output, and keeps its last lines in C(entry)."""
        return Lines(entry, self._tell, self._secrets)

    def keep(self, entry: Step, result: process.Result) -> None:
        """Keep the last lines of a short command's outputs."""
        self.lines(entry).feed(f"{result.stdout}\n{result.stderr}\n".encode())


class Lines:
    """Takes in a program's output in pieces; no line goes on without its secrets masked."""

    def __init__(self, entry: Step, tell: Tell, secrets: tuple[str, ...]) -> None:
        self._entry = entry
        self._tell = tell
        self._secrets = secrets
        self._rest = b""
        self._last: deque[str] = deque(maxlen=LAST_LINES)

    def feed(self, piece: bytes) -> None:
        *whole, self._rest = (self._rest + piece).split(b"\n")
        for line in whole:
            self._take(plain(line.decode("utf-8", "replace")).strip())
        self._entry["output"] = list(self._last)

    def _take(self, line: str) -> None:
        if not line or line.startswith("Using "):
            return
        shown = clip(redact(line, self._secrets), LINE_LENGTH)
        self._last.append(shown)
        if _BUILD_STEP.match(shown):
            self._tell(shown)


@dataclass
class Act:
    """A change at work. C(after), C(changed), C(source) and C(rollback_to) are what is known of its end so far."""

    options: Mapping[str, Any]
    session: lk.Session
    steps: Steps
    before: Look
    deadline: float
    changed: bool = False
    after: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] | None = None
    rollback_to: str | None = None

    @property
    def settle(self) -> float:
        return float(self.options["settle"])

    def soon(self) -> float:
        """The deadline of a call that takes no time by itself."""
        return min(self.deadline, time.monotonic() + CALL_S)

    def run(self, arguments: list[str], what: str = "") -> process.Result:
        """Run a command that returns at once, as a step named C(what) if not like it; return what it did, good or bad.

        Raises LkError at once where LiveKit is told without lk.
        """
        by = "LiveKit's agent API:" if self.session.api_url else "lk agent"
        with self.steps.step(what or f"{by} {' '.join(arguments)}") as step:
            result = agent_via.act(self.session, arguments, self.soon())
            self.steps.keep(step, result)
        return result

    def wait(self, watch: Watch, what: str, deadline: float) -> tuple[Ending, Look]:
        """Watch the agent until C(deadline) at the latest, as a step of its own."""
        with self.steps.step(what) as step:
            ending, last = follow(self.session, watch, deadline, self.before)
            step["output"] = [clip(ending.why, LINE_LENGTH)]
        self.after = last.facts()
        return ending, last

    def ended(
        self, summary: str, *, changed: bool = True, observed: str | None = None, limits: list[str] | None = None
    ) -> dict[str, Any]:
        """Make the result of a change that did not fail."""
        return {
            "changed": changed,
            "summary": summary,
            "steps": self.steps.done,
            "before": self.before.facts(),
            "after": self.after or self.before.facts(),
            "observed": observed,
            "limits": limits or [],
            "source": self.source,
            "rollback_to": self.rollback_to,
        }

    def repeat(self, *subcommands: str) -> str:
        """Say how a person would look."""
        return f"look yourself: {lk.command({**self.options, 'agent_id': self.session.agent_id}, *subcommands)}"


def failed(error: lk.LkError | ChangeError, steps: Steps, act: Act | None) -> dict[str, Any]:
    """Make the result of a change that failed; C(act) is None if it had not begun."""
    known: dict[str, Any] = {"before": {}, "after": {}, "limits": [], "source": None, "rollback_to": None}
    if act is not None:
        known = act.ended("", changed=act.changed)
    return {
        "changed": False,
        "observed": None,
        **known,
        "failed": True,
        "msg": str(error),
        "reason": error.reason,
        "summary": str(error),
        "steps": steps.done,
    }

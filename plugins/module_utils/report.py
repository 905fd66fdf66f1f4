# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders an incident record for people: a page, a post-mortem in the team's format, and the end of the terminal.

Whatever a record holds may have come from outside. Every expression of a template is therefore cleaned and escaped
unless a filter of this file made it, and a name that a template misspells is an error.
For the controller only, since it needs Jinja and PyYAML.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import report_view as view
from ansible_collections.voiceops.livekit.plugins.module_utils.report_chart import chart
from ansible_collections.voiceops.livekit.plugins.module_utils.report_repair import next_step, told
from ansible_collections.voiceops.livekit.plugins.module_utils.report_repair import terminal as repair
from ansible_collections.voiceops.livekit.plugins.module_utils.report_terminal import terminal
from ansible_collections.voiceops.livekit.plugins.module_utils.report_text import clock, plain, printable
from ansible_collections.voiceops.livekit.plugins.module_utils.report_tree import (
    callbacks_heard,
    decision_tree,
    flatten,
)

__all__ = ["html", "markdown", "page", "repair", "terminal"]

TEMPLATES = Path(__file__).parents[2] / "roles" / "report" / "templates"

_COMPONENTS = {
    "client": "voice-training-client",
    "tunnel": "ngrok-tunnel",
    "secrets": "livekit-cloud-agent",
    "callback": "callback-api",
    "service": "callback-service",
    "agent": "livekit-cloud-agent",
    "dispatch": "livekit-cloud-agent",
}
_SEVERITIES = {"fault": "high", "inconclusive": "medium", "healthy": "low"}
# Characters that start something in the middle of a line, and those that do so only at its beginning.
_MARKDOWN = re.compile(r"[\\`*\[\]<>|~{}$]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")
_MARKDOWN_START = re.compile(r"^(\d+)?([#+\-=.):])")


class Verbatim(str):
    """Markdown that is safe as it is."""


def html(incident: view.Incident) -> str:
    """Return the incident as one self-contained page: no script, and nothing that is loaded from elsewhere."""
    environment = _environment(autoescape=True, finalize=_clean)
    return _render(environment, "incident.html.j2", incident, tree=decision_tree(incident), chart=chart(incident))


def page(template: str, values: dict[str, Any]) -> str:
    """Return another page of the folder of templates, made in the same way from C(values)."""
    rendered: str = _environment(autoescape=True, finalize=_clean).get_template(template).render(values)
    return rendered


def markdown(incident: view.Incident) -> str:
    """Return the incident as a post-mortem with the front matter and sections that the team uses."""
    environment = _environment(autoescape=False, finalize=_escape)
    front = Verbatim(_yaml(front_matter(incident)))
    tree = Verbatim("\n".join(_tree_line(*line) for line in flatten(decision_tree(incident))))
    return _render(environment, "incident.md.j2", incident, front=front, symptoms=_symptoms(incident), tree=tree)


def front_matter(incident: view.Incident) -> dict[str, Any]:
    """Return the front matter, with the keys of the team's post-mortems in their order.

    C(date_solved) is null, since a diagnosis solves nothing.
    """
    verdict = incident["verdict"]
    layer = verdict["layer"]
    return {
        "title": plain(verdict["title"]),
        "category": "runtime-errors",
        "component": _COMPONENTS.get(layer, "voice-session"),
        "symptoms": _symptoms(incident),
        "root_cause": _root_cause(verdict),
        "date_solved": None,
        "severity": _SEVERITIES[verdict["state"]],
        "tags": ["livekit", "voice-training", *([layer] if layer else []), verdict["id"].replace("_", "-")],
        "related": ["incident.json", "incident.html"],
    }


def _symptoms(incident: view.Incident) -> list[str]:
    """Return what was noticed: the hanging session, the missing call, and the layers that are not well."""
    seen = [] if incident["verdict"]["state"] == "healthy" else ['Voice session stuck on "Waiting for agent..."']
    if seen and callbacks_heard(incident) is False:
        seen.append("No callback of the agent reached the service")
    return seen + [plain(record["summary"], 200) for record in view.records(incident) if record["state"] == "faulty"]


def _root_cause(verdict: dict[str, Any]) -> str:
    if verdict["state"] == "healthy":
        return "None found"
    prefix = "Not decided: " if verdict["state"] == "inconclusive" else ""
    return prefix + plain(verdict["title"])


def _render(environment: Any, name: str, incident: view.Incident, **more: Any) -> str:
    rendered: str = environment.get_template(name).render(
        incident=incident,
        verdict=incident["verdict"],
        records=view.records(incident),
        ruled_out=view.ruled_out(incident),
        also_confirmed=view.also_confirmed(incident),
        undecided=view.undecided(incident),
        unknown_layers=view.unknown_layers(incident),
        next=next_step(incident),
        attempt_line=view.attempt_line(incident),
        questions=view.QUESTIONS,
        title=view.title,
        repair=told(incident),
        **more,
    )
    return rendered


def _environment(**options: Any) -> Any:
    import jinja2  # here, since the collection's modules are also imported where Jinja is missing

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
    environment.filters.update(clock=clock, value=_value, pretty=_pretty, code=_code, fenced=_fenced)
    return environment


def _clean(value: object) -> object:
    """Take out of every expression of the page what no page should carry; what is Markup already is the template's."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _value(value: object) -> str:
    """Tell a signal's value: yes, no, unknown, a text, or compact JSON."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value):
        return ", ".join(map(str, value)) or "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _escape(value: object) -> str:
    """Escape a text for the middle of a line of Markdown, so that it shows as it is and starts nothing."""
    if isinstance(value, Verbatim):
        return value
    line = plain(value, 2000)
    escaped = _MARKDOWN.sub(lambda found: _entity(found[0]), line)
    return _MARKDOWN_START.sub(lambda found: f"{found[1] or ''}\\{found[2]}", escaped)


def _entity(character: str) -> str:
    """Escape one character; as an entity where some renderers would take the backslash for a text of its own."""
    return {"<": "&lt;", ">": "&gt;", "&": "&amp;", "{": "&#123;", "}": "&#125;"}.get(character, f"\\{character}")


def _code(value: object) -> Verbatim:
    """Return a text as inline code, within more backticks than it holds itself."""
    text = plain(value, 2000)
    ticks = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") or not text else ""
    return Verbatim(f"{ticks}{pad}{text}{pad}{ticks}")


def _fenced(value: str, language: str = "") -> Verbatim:
    """Return a text as a code block, within a fence longer than any run of backticks in it."""
    text = printable(value)
    fence = "`" * max(3, _longest_run(text) + 1)
    return Verbatim(f"{fence}{language}\n{text}\n{fence}")


def _longest_run(text: str) -> int:
    return max(map(len, re.findall(r"`+", text)), default=0)


def _yaml(value: object) -> str:
    import yaml  # here, for the same reason as Jinja

    dumped: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)
    return dumped.rstrip()


def _tree_line(drawn: str, node: dict[str, Any]) -> str:
    mark = "  ◀ here" if node["on_path"] and not any(child["on_path"] for child in node["children"]) else ""
    answer = f"{node['answer']} → " if node["answer"] else ""
    unsure = " (?)" if node["state"] == "unknown" and node["answer"] != "?" else ""
    note = f" — {plain(node['note'], 120)}" if node["note"] and node["on_path"] else ""
    return f"{drawn}{answer}{plain(node['text'])}{unsure}{note}{mark}"

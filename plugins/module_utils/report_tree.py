# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The team's decision tree, walked for one incident: which way the evidence went, and where it could not decide.

A node is plain data: C(text) its label, C(answer) what leads to it from above, C(state) V(yes), V(no) or V(unknown),
C(on_path) whether it lies on the way to the verdict, C(note) what decided it, and C(children).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils.report_view import WELL, Incident, title

Node = dict[str, Any]


class Leaf(NamedTuple):
    """What is read off, what it means, and the ids of the causes that stand behind it."""

    text: str
    meaning: str
    causes: tuple[str, ...]


_PERSON = (Leaf("Not connected, or no microphone", "client side", ("client_not_connected", "mic_not_published")),)
_NO_CALL = (
    Leaf("Agent sleeps and is not woken", "redeploy it", ("cloud_agent_dormant_no_wake",)),
    Leaf("Agent wakes too slowly", "let the client wait longer", ("cloud_cold_start_slow",)),
    Leaf("Agent dies at its start", "its secrets or its code", ("agent_missing_secret", "agent_crash_loop")),
    Leaf(
        "Agent calls, but the way is broken",
        "tunnel or URL",
        ("tunnel_offline", "tunnel_upstream_refused", "callback_path_wrong"),
    ),
    Leaf("Service was not up", "start it", ("service_down", "service_started_after_attempt")),
)
_CALL = (
    Leaf("500 + P2003", "user does not exist in the database", ("user_missing_in_db",)),
    Leaf("401 / 403", "service key mismatch", ("callback_auth_mismatch",)),
    Leaf("400", "invalid request metadata", ("callback_bad_request",)),
    Leaf("Other 5xx", "the database fails", ("db_down",)),
)
_CANNOT_SAY = (
    Leaf("Host not reachable", "reach it, then ask again", ("pi_unreachable",)),
    Leaf("Log does not cover the attempt", "ask the tunnel's inspector", ("logs_not_covering_window",)),
    Leaf("Log of another unit", "name the right one", ("wrong_unit",)),
    Leaf("Clocks disagree", "set the clock", ("pi_clock_drift",)),
)
_WELL = (Leaf("An agent joins", "nothing to mend", WELL),)


def decision_tree(incident: Incident) -> Node:
    """Return the tree of one incident, its path marked from the root to the verdict.

    A verdict that the team's tree does not know hangs from the root, so that the path never ends nowhere.
    """
    heard = callbacks_heard(incident)
    branches = {
        False: _node("The agent never called: dispatch problem", answer="NO", children=_leaves(incident, _NO_CALL)),
        True: _node("The agent called: API problem", answer="YES", children=_leaves(incident, _CALL)),
        None: _node("The log cannot say", answer="?", children=_leaves(incident, _CANNOT_SAY)),
    }
    for answer, branch in branches.items():
        branch["state"] = "unknown" if heard is None else "yes" if answer is heard else "no"
        if branch["state"] == "no":
            _close(branch)
    question = _node("Callbacks in the service's log?", note=_why_heard(incident), children=list(branches.values()))
    children = [*_leaves(incident, _PERSON), question, *_leaves(incident, _WELL)]
    root = _node('Voice "Waiting for agent..."', children=children)
    if not _mark_path(root):
        _end_path(root, question, branches[heard], incident["verdict"])
    return root


def callbacks_heard(incident: Incident) -> bool | None:
    """Whether the agent called the API at the attempt; None if neither the journal nor the tunnel's inspector can say.

    It is the signal C(calls) of the layer service, which correlate.py adds.
    """
    calls = incident["evidence"]["service"]["signals"].get("calls")
    return None if calls is None else calls > 0


def flatten(node: Node, prefix: str = "", branch: str = "") -> list[tuple[str, Node]]:
    """Return the tree line by line, each as the lines drawn before it and its node."""
    lines = [(prefix + branch, node)]
    below = prefix + {"": "", "├── ": "│   ", "└── ": "    "}[branch]
    for child in node["children"]:
        lines += flatten(child, below, "└── " if child is node["children"][-1] else "├── ")
    return lines


def _node(
    text: str, *, state: str = "yes", answer: str = "", note: str = "", children: list[Node] | None = None
) -> Node:
    return {"text": text, "answer": answer, "state": state, "on_path": False, "note": note, "children": children or []}


def _leaves(incident: Incident, leaves: tuple[Leaf, ...]) -> list[Node]:
    """Return a node for each leaf; it is on the path if the verdict is one of its causes."""
    verdict = incident["verdict"]["id"]
    order = ("confirmed", "suspected", "open", "ruled_out")
    nodes = []
    for leaf in leaves:
        found = [cause for cause in incident["causes"] if cause["id"] in leaf.causes]
        found.sort(key=lambda cause: (cause["id"] != verdict, order.index(cause["state"])))
        state = "unknown"
        if verdict in leaf.causes or any(cause["state"] == "confirmed" for cause in found):
            state = "yes"
        elif found and all(cause["state"] == "ruled_out" for cause in found):
            state = "no"
        note = next((text for cause in found for text in (*cause["because"], *cause["needs"])), "")
        nodes.append(_node(f"{leaf.text} → {leaf.meaning}", state=state, note=note))
        nodes[-1]["on_path"] = verdict in leaf.causes
    return nodes


def _close(branch: Node) -> None:
    """Rule out the leaves of a branch that was not taken, but for what is confirmed all the same."""
    for leaf in branch["children"]:
        leaf["state"] = "yes" if leaf["state"] == "yes" else "no"


def _why_heard(incident: Incident) -> str:
    signals = incident["evidence"]["service"]["signals"]
    if callbacks_heard(incident) is None:
        silent = signals.get("callbacks") == 0
        return "no line, but this silence proves nothing" if silent else "the log could not be read"
    return f"{signals['calls']} at the attempt" if signals["calls"] else "none at the attempt, and this silence counts"


def _mark_path(node: Node) -> bool:
    """Mark every node above one that is on the path; return whether this one is."""
    below = [_mark_path(child) for child in node["children"]]
    node["on_path"] = node["on_path"] or any(below)
    return bool(node["on_path"])


def _end_path(root: Node, question: Node, branch: Node, verdict: dict[str, Any]) -> None:
    """End the path where no leaf knows the verdict: at the branch that was taken, or at a leaf of the verdict's own."""
    root["on_path"] = True
    if verdict["state"] == "inconclusive":
        branch["on_path"] = question["on_path"] = True
        return
    root["children"].append(_node(title(verdict), answer="ELSE", note=next(iter(verdict["because"]), "")))
    root["children"][-1]["on_path"] = True

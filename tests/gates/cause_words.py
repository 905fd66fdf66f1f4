# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words the rules' expressions in English: C(not service.active) reads as "`service.active` is false".

What an expression may hold but nobody has needed yet has no words here, and then stands as it is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from jinja2 import Environment

from ansible_collections.voiceops.livekit.plugins.module_utils.expressions import signals_of

Meanings = Mapping[str, Mapping[str, str]]

# What is said of a subject if the comparison holds, and if not.
_COMPARED = {
    "eq": ("is {}", "is not {}"),
    "ne": ("is not {}", "is {}"),
    "lt": ("is less than {}", "is at least {}"),
    "lteq": ("is at most {}", "is more than {}"),
    "gt": ("is more than {}", "is at most {}"),
    "gteq": ("is at least {}", "is less than {}"),
    "in": ("is in {}", "is not in {}"),
    "notin": ("is not in {}", "is in {}"),
    "search": ("matches {}", "does not match {}"),
}
_TIMES = {"lt": ("is before {}", "is not before {}"), "gt": ("is after {}", "is not after {}")}
_TESTS = {"ge": "gteq", "le": "lteq", "in": "in", "eq": "eq", "ne": "ne", "gt": "gt", "lt": "lt", "search": "search"}
_SUBJECTS = {"settings": "configured"}
_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


class Condition(NamedTuple):
    """A part of a rule, in words: C(ways) are its alternatives, C(note) what else to know of it."""

    ways: tuple[str, ...]
    signals: tuple[str, ...]
    allowed: tuple[str, frozenset[Any]] | None
    note: str = ""

    @property
    def text(self) -> str:
        return ", or ".join(self.ways) + (f"; {self.note}" if self.note else "")


class _NoWordsError(Exception):
    """There are no words for a part of an expression."""


class Words:
    """Words expressions over the signals of a vocabulary, C(meanings) as rules.vocabulary() returns it."""

    def __init__(self, meanings: Meanings) -> None:
        self._meanings = meanings

    def conditions(self, source: str, *, hold: bool = True) -> list[Condition]:
        """Return what all must be true for the expression to be true, or with C(hold) false, to be false."""
        node = _parsed(source)
        while _kind(node) == "Not":
            node, hold = node.node, not hold
        return [self._condition(each, source, hold=hold) for each in _operands(node, "And" if hold else "Or")]

    def exclusions(self, source: str) -> list[str]:
        """Return the alternatives that each make the expression true."""
        return [self._condition(each, source, hold=True).text for each in _operands(_parsed(source), "Or")]

    def meaning(self, signal: str) -> str:
        """Tell what a signal (C(layer.signal)) means."""
        text = self._documented(signal).partition(": ")[2]
        for python, plain in (("None", "unknown"), ("True", "true"), ("False", "false")):
            text = re.sub(rf"\b{python}\b", plain, text)
        return re.sub(r"\b[CVOR]\(([^()]*)\)", r"`\1`", text).rstrip(".")

    def _condition(self, node: Any, source: str, *, hold: bool) -> Condition:
        ways = _operands(node, "Or" if hold else "And")
        counting = [each for each in ways if hold and len(ways) > 1 and self._never_false(each)]
        note = f"its absence counts only while {self._value(counting[0].node)} is true" if counting else ""
        try:
            texts = tuple(self._say(each, hold=hold) for each in ways if each not in counting)
        except _NoWordsError:
            texts = (f"`{' '.join(source.split())}` is {_boolean(hold)}",)
        return Condition(texts, _signals(node), self._allowed(node, hold=hold), note)

    def _documented(self, signal: str) -> str:
        layer, name = signal.split(".", 1)
        return self._meanings[layer][name]

    def _is_time(self, node: Any) -> bool:
        signal = _signal(node)
        return signal is not None and "RFC 3339" in self._documented(signal)

    def _never_false(self, node: Any) -> bool:
        """Whether it is C(not signal) of a signal that is never false: it decides nothing, it only makes unknown."""
        signal = _signal(node.node) if _kind(node) == "Not" else None
        return signal is not None and self._documented(signal).rstrip(".").endswith("never False")

    def _allowed(self, node: Any, *, hold: bool) -> tuple[str, frozenset[Any]] | None:
        """Return the signal that a condition is about, and its only possible values; None if that is not so simple."""
        kind = _kind(node)
        if kind == "Not":
            return self._allowed(node.node, hold=not hold)
        signal = _signal(node)
        if signal is not None:
            return (signal, frozenset([hold])) if self._documented(signal).startswith("bool") else None
        if kind != "Compare" or len(node.ops) != 1 or not hold:
            return None
        signal, operator, right = _signal(node.expr), node.ops[0].op, node.ops[0].expr
        values = right.items if operator == "in" and _kind(right) == "List" else [right] if operator == "eq" else []
        if signal is None or not values or any(_kind(each) != "Const" for each in values):
            return None
        return signal, frozenset(each.value for each in values)

    def _say(self, node: Any, *, hold: bool) -> str:
        kind = _kind(node)
        if kind == "Not":
            return self._say(node.node, hold=not hold)
        if kind in ("And", "Or"):
            return self._compound(node, "and" if (kind == "And") is hold else "or", hold=hold)
        if kind == "Compare" and len(node.ops) == 1:
            return self._compared(node.ops[0].op, node.expr, node.ops[0].expr, hold=hold)
        if kind == "Test" and node.name == "search":
            return self._compared("search", node.node, node.args[0], hold=hold)
        if kind == "Test" and node.name == "defined":
            return f"{self._value(node.node)} is {'' if hold else 'not '}known"
        if kind == "Filter":
            return self._some(node, hold=hold)
        return self._truth(node, hold=hold)

    def _compound(self, node: Any, word: str, *, hold: bool) -> str:
        parts = []
        for each in _operands(node, _kind(node)):
            inner = each.node if _kind(each) == "Not" else each
            text = self._say(each, hold=hold)
            parts.append(f"({text})" if _kind(inner) in ("And", "Or") else text)
        return f" {word} ".join(parts)

    def _truth(self, node: Any, *, hold: bool) -> str:
        signal = _signal(node)
        if signal is None:
            raise _NoWordsError
        if self._documented(signal).startswith("bool"):
            return f"`{signal}` is {_boolean(hold)}"
        return f"`{signal}` is {'not ' if hold else ''}empty"

    def _compared(self, operator: str, left: Any, right: Any, *, hold: bool) -> str:
        if operator in _TIMES and self._is_time(left):
            return f"{self._value(left)} {_TIMES[operator][0 if hold else 1].format(self._value(right))}"
        if operator == "gt" and not hold and _kind(right) == "Const" and right.value == 0:
            return f"{self._value(left)} is 0"
        if operator in ("in", "notin"):
            is_in = (operator == "in") is hold
            if _kind(left) == "Const":
                return f"{self._value(right)} {'contains' if is_in else 'does not contain'} {self._value(left)}"
            if _kind(right) in ("List", "Tuple"):
                return f"{self._value(left)} is {'' if is_in else 'not '}{self._value(right)}"
        return f"{self._value(left)} {self._predicate(operator, right, hold=hold)}"

    def _predicate(self, operator: str, right: Any, *, hold: bool) -> str:
        if operator not in _COMPARED:
            raise _NoWordsError
        value = _pattern(right.value) if operator == "search" and _kind(right) == "Const" else self._value(right)
        return _COMPARED[operator][0 if hold else 1].format(value)

    def _some(self, node: Any, *, hold: bool) -> str:
        """Word a chain of select, reject and map, which is true if anything is left of a list."""
        steps: list[Any] = []
        while _kind(node) == "Filter":
            steps.insert(0, node)
            node = node.node
        first = steps[0]
        if _kind(node) == "List" and len(steps) == 1 and first.name == "select" and len(first.args) == 2:
            return f"{self._value(first.args[1])} contains {'' if hold else 'none of '}{self._value(node)}"
        if len(steps) == 1 and first.name == "select" and not first.args:
            some, none = "{} has an entry that is not empty", "{} has no entry, or only empty ones"
            return (some if hold else none).format(self._value(node))
        subject, predicates = f"entry of {self._value(node)}", []
        for step in steps:
            if step.name == "map" and not step.args:
                subject = f"`{step.kwargs[0].value.value}` in {self._value(node)}"
            elif step.name in ("select", "reject"):
                predicates.append(self._tested(step.args, hold=step.name == "select"))
            elif step.name in ("selectattr", "rejectattr"):
                test = self._tested(step.args[1:], hold=step.name == "selectattr")
                predicates.append(f"has a `{step.args[0].value}` that {test}")
            else:
                raise _NoWordsError
        return f"{'a' if hold and subject[0] == '`' else 'an' if hold else 'no'} {subject} {' and '.join(predicates)}"

    def _tested(self, args: list[Any], *, hold: bool) -> str:
        if not args:
            return f"is {'not ' if hold else ''}empty"
        if len(args) != 2:
            raise _NoWordsError
        return self._predicate(_TESTS.get(args[0].value, ""), args[1], hold=hold)

    def _value(self, node: Any) -> str:
        kind = _kind(node)
        if _signal(node):
            return f"`{_signal(node)}`"
        if kind == "Const":
            return "empty" if node.value == "" else json.dumps(node.value, ensure_ascii=False)
        if kind in ("List", "Tuple"):
            *first, last = [self._value(each) for each in node.items]
            return f"{', '.join(first)} or {last}" if first else last
        if kind == "Filter" and node.name == "abs":
            return f"the amount of {self._value(node.node)}"
        raise _NoWordsError


def readable(text: str) -> str:
    """Return a text of a rule with names for what it fills in, such as C(<service port>) for C({{ service.port }})."""
    return _PLACEHOLDER.sub(lambda match: f"<{' or '.join(map(_name, signals_of(match[1].strip())))}>", text).strip()


def _name(signal: str) -> str:
    layer, name = signal.split(".", 1)
    words = re.sub(r"_m?s$", "", name).replace("_", " ")
    return words if words.startswith(layer) else f"{_SUBJECTS.get(layer, layer)} {words}"


def _parsed(source: str) -> Any:
    template: Any = Environment().parse(f"{{{{ {source} }}}}")
    return template.body[0].nodes[0]


def _kind(node: Any) -> str:
    return type(node).__name__


def _signal(node: Any) -> str | None:
    if _kind(node) == "Getattr" and _kind(node.node) == "Name":
        return f"{node.node.name}.{node.attr}"
    return None


def _signals(node: Any) -> tuple[str, ...]:
    own = _signal(node)
    found = (own,) if own else (name for child in node.iter_child_nodes() for name in _signals(child))
    return tuple(dict.fromkeys(found))


def _operands(node: Any, kind: str) -> list[Any]:
    """Return the operands of a chain of that kind, C(And) or C(Or); the node itself if it is none."""
    return [*_operands(node.left, kind), *_operands(node.right, kind)] if _kind(node) == kind else [node]


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _pattern(pattern: str) -> str:
    return f"`{pattern.removeprefix('(?i)')}`" + (" in any case" if pattern.startswith("(?i)") else "")

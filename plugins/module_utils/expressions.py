# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three-valued logic over evidence, written as Jinja2 expressions.

An expression names signals as C(layer.signal), for example C(agent.status == 'Sleeping'). A signal whose value is
None, or whose layer was not collected, is an R(Unknown), and so is all that depends on it, unless the rest decides
alone (Kleene's logic: false and unknown is false, true or unknown is true). Filters and tests of an unknown are
unknown too, so that neither C(default) nor C(is none) turns missing evidence into an answer.

Jinja2's sandbox parses, and lends its attribute access, filters, tests and operators. The tree is walked here, not
compiled, since compiled Python cannot overload C(and), C(or), C(not) and C(in). Calls are refused.

For the controller only: Jinja2 is imported when the first expression is parsed.
"""

from __future__ import annotations

import difflib
import functools
import operator
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.voiceops.livekit.plugins.module_utils.process import shell_word

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import SandboxedEnvironment

Signals = Mapping[str, Mapping[str, Any]]
Vocabulary = Mapping[str, Collection[str]]

_TEXT_LIMIT = 300
_TIME = re.compile(r"\b(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z")
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
    "in": lambda item, container: item in container,
    "notin": lambda item, container: item not in container,
}


class ExpressionError(ValueError):
    """An expression that cannot be parsed, names no signal, or does not fit the type of its values."""


@dataclass(frozen=True)
class Unknown:
    """A value that nobody could learn; C(names) are the signals (C(service.callbacks)) that would decide it."""

    names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        raise TypeError("an unknown value is neither true nor false")


def evaluate(source: str, signals: Signals) -> Any:
    """Return the value of one expression, or R(Unknown). Raise R(ExpressionError) if the types do not fit."""
    try:
        return _Evaluator(signals).value(_parse(source))
    except ExpressionError:
        raise
    except Exception as exc:  # a filter may raise anything
        raise ExpressionError(f"{source!r} cannot be evaluated: {exc}") from exc


def render(source: str, signals: Signals, unknown: Callable[[Unknown], str] = lambda _value: "unknown") -> str:
    """Fill in the C({{ expressions }}) of a text; C(unknown) words what is not known. Values are never templates."""
    evaluator = _Evaluator(signals)
    parts = []
    for node in _parse_text(source):
        if type(node).__name__ == "TemplateData":
            parts.append(str(node.data))
            continue
        try:
            value = evaluator.value(node)
        except Exception:  # a sentence that explains must not be what fails
            value = Unknown(_names(node))
        parts.append(unknown(value) if isinstance(value, Unknown) else phrase(value))
    return "".join(parts)


def signals_of(source: str) -> tuple[str, ...]:
    """Return the names of the signals that an expression mentions, each once, in order."""
    return _names(_parse(source))


def check(source: str, vocabulary: Vocabulary) -> None:
    """Raise R(ExpressionError) unless the expression parses and names only signals of the vocabulary."""
    _check_names(_names(_parse(source)), vocabulary)


def check_text(source: str, vocabulary: Vocabulary) -> None:
    """The same for a text with C({{ expressions }}) in it."""
    for node in _parse_text(source):
        _check_names(_names(node), vocabulary)


def phrase(value: Any) -> str:
    """Word a value for people: one printable line, lists joined, times as 2026-02-06 22:39:00 UTC, at most 300 long."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, float):
        text = f"{value:.10g}"
    elif isinstance(value, (list, tuple)):
        text = ", ".join(phrase(item) for item in value) or "none"
    else:
        text = " ".join("".join(each if each.isprintable() else " " for each in str(value)).split())
        text = _TIME.sub(r"\1 \2 UTC", text)
    return text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…"


def negation(value: Any) -> Any:
    """Kleene's not."""
    return value if isinstance(value, Unknown) else not value


class _Evaluator:
    """Walks a parsed expression. There is one method for each kind of node that an expression may hold."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    def value(self, node: Any) -> Any:
        return getattr(self, f"visit_{type(node).__name__.lower()}")(node)

    def visit_const(self, node: nodes.Const) -> Any:
        return node.value

    def visit_getattr(self, node: nodes.Getattr) -> Any:
        return self._member(node, lambda base: _environment().getattr(base, node.attr))

    def visit_getitem(self, node: nodes.Getitem) -> Any:
        return self._member(node, lambda base: self._apply(_environment().getitem, base, self.value(node.arg)))

    def visit_list(self, node: nodes.List) -> Any:
        return self._apply(lambda *items: list(items), *map(self.value, node.items))

    visit_tuple = visit_list

    def visit_not(self, node: nodes.Not) -> Any:
        return negation(self.value(node.node))

    def visit_and(self, node: nodes.And) -> Any:
        return self._decide(node, decisive=False)

    def visit_or(self, node: nodes.Or) -> Any:
        return self._decide(node, decisive=True)

    def visit_compare(self, node: nodes.Compare) -> Any:
        operands = [self.value(node.expr), *(self.value(each.expr) for each in node.ops)]
        results = [
            self._apply(_COMPARISONS[each.op], left, right)
            for each, left, right in zip(node.ops, operands, operands[1:])
        ]
        return _first_decisive(results, decisive=False)

    def visit_condexpr(self, node: nodes.CondExpr) -> Any:
        test = self.value(node.test)
        if isinstance(test, Unknown):
            return test
        chosen = node.expr1 if test else node.expr2
        return Unknown() if chosen is None else self.value(chosen)

    def visit_concat(self, node: nodes.Concat) -> Any:
        return self._apply(lambda *parts: "".join(map(str, parts)), *map(self.value, node.nodes))

    def visit_filter(self, node: nodes.Filter) -> Any:
        return self._call(node, _environment().call_filter)

    def visit_test(self, node: nodes.Test) -> Any:
        return self._call(node, _environment().call_test)

    def _binary(self, node: Any) -> Any:
        return self._apply(_environment().binop_table[node.operator], self.value(node.left), self.value(node.right))

    visit_add = visit_sub = visit_mul = visit_div = visit_floordiv = visit_mod = _binary

    def _unary(self, node: Any) -> Any:
        return self._apply(_environment().unop_table[node.operator], self.value(node.node))

    visit_neg = visit_pos = _unary

    def _decide(self, node: Any, *, decisive: bool) -> Any:
        left = self.value(node.left)
        if not isinstance(left, Unknown) and bool(left) is decisive:
            return left
        return _first_decisive([left, self.value(node.right)], decisive=decisive)

    def _member(self, node: Any, access: Callable[[Any], Any]) -> Any:
        name = _signal(node)
        if name:
            value = self._signals.get(name[0], {}).get(name[1])
        else:
            base = self.value(node.node)
            value = base if isinstance(base, Unknown) else access(base)
        return _known(value, node)

    def _call(self, node: Any, call: Callable[..., Any]) -> Any:
        keywords = {each.key: self.value(each.value) for each in node.kwargs}

        def apply(value: Any, *arguments: Any) -> Any:
            positional = list(arguments[len(keywords) :])
            named = dict(zip(keywords, arguments))
            return call(node.name, value, positional, named, *_call_context())

        arguments = (*keywords.values(), *map(self.value, node.args))
        return _known(self._apply(apply, self.value(node.node), *arguments), node)

    @staticmethod
    def _apply(function: Callable[..., Any], *values: Any) -> Any:
        """Call the function on known values; with an unknown among them, the result is unknown."""
        unknown = [value for value in values if isinstance(value, Unknown)]
        return _merge(unknown) if unknown else function(*values)


def _first_decisive(values: list[Any], *, decisive: bool) -> Any:
    """Kleene's and (C(decisive) false) and or (true): a decisive value, else unknown if any is, else the last."""
    for value in values:
        if not isinstance(value, Unknown) and bool(value) is decisive:
            return value
    unknown = [value for value in values if isinstance(value, Unknown)]
    return _merge(unknown) if unknown else values[-1]


def _merge(values: Iterable[Unknown]) -> Unknown:
    return Unknown(tuple(dict.fromkeys(name for value in values for name in value.names)))


def _known(value: Any, node: Any) -> Any:
    """None and what Jinja2 found undefined (a key that is absent, the first of an empty list) are unknown."""
    if value is None or isinstance(value, _environment().undefined):
        return Unknown(_names(node))
    return list(value) if isinstance(value, Iterator) else value


def _signal(node: Any) -> tuple[str, str] | None:
    """Return layer and signal if the node is C(layer.signal) or C(layer['signal'])."""
    kind = type(node).__name__
    if kind not in ("Getattr", "Getitem") or type(node.node).__name__ != "Name":
        return None
    if kind == "Getattr":
        return node.node.name, node.attr
    key = getattr(node.arg, "value", None)
    return (node.node.name, key) if isinstance(key, str) else None


def _names(node: Any) -> tuple[str, ...]:
    name = _signal(node)
    if name:
        return (".".join(name),)
    found = (each for child in node.iter_child_nodes() for each in _names(child))
    return tuple(dict.fromkeys(found))


def _check_names(names: Iterable[str], vocabulary: Vocabulary) -> None:
    for name in names:
        layer, signal = name.split(".", 1)
        if layer not in vocabulary:
            raise ExpressionError(f"there is no layer {layer!r}{_hint(layer, vocabulary)}")
        if signal not in vocabulary[layer]:
            raise ExpressionError(f"{layer} has no signal {signal!r}{_hint(signal, vocabulary[layer])}")


def _hint(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else f"; there are {', '.join(sorted(known))}"


def _check_kinds(node: Any) -> None:
    """Refuse what has no meaning here: calls, statements, bare names, unknown filters and tests."""
    kind = type(node).__name__
    if _signal(node):
        return
    if kind == "Name":
        raise ExpressionError(f"{node.name!r} alone is no signal: expected layer.signal")
    if kind not in ("Operand", "Keyword") and not hasattr(_Evaluator, f"visit_{kind.lower()}"):
        raise ExpressionError(f"{kind} is not allowed: expected signals, operators, filters and tests")
    if kind in ("Filter", "Test"):
        known = _environment().filters if kind == "Filter" else _environment().tests
        if node.name not in known:
            raise ExpressionError(f"there is no {kind.lower()} {node.name!r}")
        if node.dyn_args or node.dyn_kwargs:
            raise ExpressionError("*args and **kwargs are not allowed")
    for child in node.iter_child_nodes():
        _check_kinds(child)


@functools.cache
def _parse(source: str) -> Any:
    from jinja2 import TemplateSyntaxError
    from jinja2.parser import Parser

    try:
        parser = Parser(_environment(), source, state="variable")
        node = parser.parse_expression()
        if not parser.stream.eos:
            raise ExpressionError(f"{source!r} goes on after its end, at {parser.stream.current.value!r}")
        _check_kinds(node)
    except (TemplateSyntaxError, RecursionError) as exc:
        raise ExpressionError(f"{source!r} is no Jinja2 expression: {exc}") from exc
    return node


@functools.cache
def _parse_text(source: str) -> tuple[Any, ...]:
    from jinja2 import TemplateSyntaxError

    parts: list[Any] = []
    try:
        for statement in _environment().parse(source).body:
            if type(statement).__name__ != "Output":
                raise ExpressionError("only {{ expressions }} are allowed in a text, no {% statements %}")
            parts += statement.iter_child_nodes()
        for part in parts:
            if type(part).__name__ != "TemplateData":
                _check_kinds(part)
    except (TemplateSyntaxError, RecursionError) as exc:
        raise ExpressionError(f"{source!r} is no Jinja2 text: {exc}") from exc
    return tuple(parts)


@functools.cache
def _environment() -> SandboxedEnvironment:
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment()
    environment.filters["quote"] = lambda value: shell_word(str(value))
    environment.tests["search"] = lambda value, pattern: re.search(pattern, str(value)) is not None
    return environment


@functools.cache
def _call_context() -> tuple[Any, Any]:
    """What filters such as select and map want to be given."""
    from jinja2.nodes import EvalContext

    return _environment().from_string("").new_context(), EvalContext(_environment())

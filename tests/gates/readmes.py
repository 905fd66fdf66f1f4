# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes each role's README.md from its argument_specs and its layer's signals, or checks that they are current.

Run as C(python tests/gates/readmes.py [--check]), with C(playbooks/collections) on PYTHONPATH.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
UTILS = "ansible_collections.voiceops.livekit.plugins.module_utils"
# Which module documents the signals of which role.
SIGNALS_OF = {
    "client": ["layers.client"],
    "tunnel": ["layers.tunnel", "layers.inspector"],
    "secrets": ["layers.secrets"],
    "callback": ["layers.callback"],
    "service": ["layers.service"],
    "agent": ["layers.agent", "layers.worker"],
    "dispatch": ["dispatch"],
}


def plain(text: str) -> str:
    """Turn Ansible's markup into Markdown's."""
    text = re.sub(r"P\(([^#)]+)#[a-z]+\)", r"`\1`", text)
    return re.sub(r"\b[CVOEM]\(((?:[^()]|\([^()]*\))*)\)", r"`\1`", text).replace("|", "\\|")


def sentences(text: str | list[str]) -> list[str]:
    return [plain(part) for part in ([text] if isinstance(text, str) else text)]


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (head, tuple("---" for _turn in head), *rows)]


def variables(options: dict[str, Any]) -> list[str]:
    rows: list[tuple[str, ...]] = []
    for name, option in options.items():
        kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
        choices = f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}." if "choices" in option else ""
        default = f"`{json.dumps(option['default'])}`" if "default" in option else ""
        rows.append((f"`{name}`", kind, default, " ".join(sentences(option["description"])) + choices))
    return table(("variable", "type", "default", "meaning"), rows)


def signals(modules: list[str]) -> list[str]:
    rows: list[tuple[str, ...]] = []
    for module in modules:
        for name, text in importlib.import_module(f"{UTILS}.{module}").SIGNALS.items():
            kind, _colon, meaning = text.partition(": ")
            rows.append((f"`{name}`", kind.replace("|None", "").replace("|", "\\|"), plain(meaning)))
    meaning = "What rules may name. A value of null means that it is not known, never that it is not so."
    return ["## Signals", "", meaning, "", *table(("signal", "type", "meaning"), rows)]


def readme(role: str) -> str:
    """The text of a role's README.md."""
    specs = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    lines = [f"# voiceops.livekit.{role}", ""]
    for entry, spec in specs["argument_specs"].items():
        heading = [] if entry == "main" else [f"## Entry point `{entry}`", ""]
        lines += [*heading, plain(spec["short_description"]), "", *sentences(spec["description"]), ""]
        lines += [*variables(spec.get("options", {})), ""]
    if role in SIGNALS_OF:
        lines += [*signals(SIGNALS_OF[role]), ""]
    return "\n".join(lines)


def main() -> int:
    stale = []
    for folder in sorted((ROOT / "roles").iterdir()):
        path = folder / "README.md"
        text = readme(folder.name)
        if "--check" in sys.argv:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(str(path.relative_to(ROOT)))
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"not current, write them again with make docs: {', '.join(stale)}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

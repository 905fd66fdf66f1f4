# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the signals of all layers into the RETURN block of the module evidence_facts, or checks that it has them.

Run as C(python tests/gates/returned_signals.py [--check]), with C(playbooks/collections) on PYTHONPATH.
"""

from __future__ import annotations

import importlib
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "plugins" / "modules" / "evidence_facts.py"
LAYERS = "ansible_collections.voiceops.livekit.plugins.module_utils.layers"
BEGIN, END = "    voiceops_evidence:\n", "    voiceops_clock:\n"
HEAD = """\
      description: >-
        The evidence records by layer. Each has the keys C(layer), C(state) (V(healthy), V(faulty) or V(unknown)),
        C(summary), C(signals), C(events), C(limits), C(repeat) and C(took_ms), and a signal C(host_reachable).
        What is described here are the C(signals).
      returned: always
      type: complex
      contains:
"""


def layers() -> list[str]:
    """The layers that the module can ask, in the order of its choices."""
    names = re.search(r"choices: \[(client[^]]*)\]", MODULE.read_text(encoding="utf-8"))
    return [name for name in re.findall(r"\w+", names[1] if names else "") if name != "agent_after"]


def described(layer: str) -> Iterator[str]:
    """The lines about one layer."""
    yield f"        {layer}:\n"
    yield "          description: The record of the layer. Its signals follow; null means that a value is not known.\n"
    yield "          returned: when O(layers) has it\n          type: complex\n          contains:\n"
    for name, text in importlib.import_module(f"{LAYERS}.{layer}").SIGNALS.items():
        kinds, _colon, meaning = text.partition(": ")
        kind = re.split(r"\W", kinds)[0]
        sentence = f"{meaning[:1].upper()}{meaning[1:].rstrip('.')}.".replace('"', "'")
        line = f'{name}: {{description: "{sentence}", type: {kind}, returned: always}}'
        wrapped = textwrap.wrap(line, 106, break_long_words=False, break_on_hyphens=False, subsequent_indent="  ")
        yield textwrap.indent("\n".join(wrapped), " " * 12) + "\n"


def main() -> int:
    """Write the block, or with C(--check) return 1 if it is not current."""
    text = MODULE.read_text(encoding="utf-8")
    before, _begin, rest = text.partition(BEGIN)
    _old, _end, after = rest.partition(END)
    lines = "".join(line for layer in layers() for line in described(layer))
    current = f"{before}{BEGIN}{HEAD}{lines}{END}{after}"
    if "--check" not in sys.argv:
        MODULE.write_text(current, encoding="utf-8")
    elif current != text:
        print(f"RETURN is not current, write it again with make docs: {MODULE.name}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

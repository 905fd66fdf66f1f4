# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading

from ansible_collections.voiceops.livekit.plugins.plugin_utils import progress as progress_module
from ansible_collections.voiceops.livekit.plugins.plugin_utils.progress import progress


def test_it_tells_what_is_waited_for_until_the_block_ends(monkeypatch):
    monkeypatch.setattr(progress_module, "FIRST_AFTER_S", 0.01)
    monkeypatch.setattr(progress_module, "THEN_EVERY_S", 0.01)
    lines: list[str] = []
    told_twice, before = threading.Event(), threading.active_count()

    def display(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            told_twice.set()

    with progress(display, "pi-hub: service", at_most_s=20):
        assert told_twice.wait(10)
    told = len(lines)

    assert lines[0].startswith("  ... pi-hub: service: ")
    assert lines[0].endswith(" s of at most 20 s")
    assert threading.active_count() <= before
    assert len(lines) == told


def test_a_quick_block_tells_nothing():
    lines: list[str] = []
    with progress(lines.append, "pi-hub: service", at_most_s=20):
        pass
    assert lines == []

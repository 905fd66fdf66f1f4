# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows that a task is alive while it takes longer than a person likes to wait in silence."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

FIRST_AFTER_S = 2.0
THEN_EVERY_S = 5.0


@contextlib.contextmanager
def progress(display: Callable[[str], object], what: str, *, at_most_s: float) -> Iterator[None]:
    """Display C(what) with the seconds gone by, first after 2 s and then every 5 s, until the block ends."""
    done = threading.Event()
    began = time.monotonic()

    def tell() -> None:
        pause = FIRST_AFTER_S
        while not done.wait(pause):
            display(f"  ... {what}: {time.monotonic() - began:.0f} s of at most {at_most_s:.0f} s")
            pause = THEN_EVERY_S

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()

# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one run of a command costs.

The command is started by a small process of its own, as which this file runs: Linux counts the memory of whoever starts
a program into the program's own peak.
"""

from __future__ import annotations

import json
import resource
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

# ru_maxrss is in bytes on macOS and in KiB on Linux (getrusage(2) of each).
MAXRSS_PER_MB = 1e6 if sys.platform == "darwin" else 1e6 / 1024


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, seconds of CPU, and the megabytes that the largest process held at its peak."""

    wall: float
    cpu: float
    memory: float


def run(command: list[str], env: Mapping[str, str], cwd: Path, log: Path) -> Cost:
    """Run C(command) to its end, its output in C(log), and return what it and its children cost.

    Raises RuntimeError with the end of the output if the command fails.
    """
    starter = [sys.executable, "-I", "-S", __file__, str(log), *command]
    done = subprocess.run(starter, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        end = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise RuntimeError(f"{shlex.join(command)} ended with {done.returncode}:\n{end}")
    return Cost(**json.loads(done.stdout))


def median(costs: list[Cost]) -> Cost:
    """The median of each figure by itself."""
    return Cost(*(statistics.median(getattr(cost, figure) for cost in costs) for figure in ("wall", "cpu", "memory")))


def main(log: str, *command: str) -> int:
    """Run a command, print its cost as JSON, and return its exit code."""
    began = time.perf_counter()
    with Path(log).open("wb") as output:
        code = subprocess.call(command, stdout=output, stderr=subprocess.STDOUT)
    wall = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps(asdict(Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / MAXRSS_PER_MB))))
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

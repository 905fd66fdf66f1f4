# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the variables that the running lab wrote down, as an inventory script does.

VOICEOPS_LAB_DIR names the lab's folder if it is not C(.lab) in the project.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Print the variables of all hosts in the format of an inventory script."""
    folder = os.environ.get("VOICEOPS_LAB_DIR") or Path(__file__).resolve().parents[2] / ".lab"
    try:
        lab = json.loads((Path(folder) / "lab.json").read_text(encoding="utf-8"))
    except OSError as exc:
        sys.exit(f"No lab is up ({exc}). Start one: PYTHONPATH=tests python -m lab up incident-2026-02-06")
    variables = {**lab["variables"], "voiceops_lab_ssh": lab["ssh"]}
    print(json.dumps({"all": {"vars": variables}, "_meta": {"hostvars": {}}}))


if __name__ == "__main__":
    main()

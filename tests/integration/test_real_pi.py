# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole diagnosis against a real Pi: what it may read, and what the silence of a real journal proves."""

from __future__ import annotations

import json
import time
from pathlib import Path


from .real_pi_running import DORMANT, RealLab, moment, signals, some, verdict


def test_x(boot, lab, scenario):
    t=time.time()
    pi = boot(); print("boot", time.time()-t); t=time.time()
    running = RealLab(lab(scenario("real", api={"elsewhere": {"url": pi.url, "key": pi.service_key}}, cloud={"agent": DORMANT})), pi)
    print("lab", time.time()-t); t=time.time()
    assert running.call() == 201
    called=time.time()
    time.sleep(max(0, called+7.5-time.time()))
    at=time.time()
    for user in ("brad", "guest"):
        t=time.time()
        play = running.diagnose(user, voiceops_attempt_at=moment(at))
        print("play", time.time()-t)
        print(play.output[-3000:])
        print(verdict(play))
        print(json.dumps(signals(play), indent=0), play.incident["evidence"]["service"]["limits"])
        print({c["id"]: (c["state"], c["because"]) for c in play.incident["causes"] if c["state"] in ("confirmed","suspected")})
    assert 0

#!/usr/bin/python
# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: systemd_unit
short_description: Start, restart or reset a systemd unit without a prompt, and wait until it stays up
version_added: 0.2.0
description:
  - Runs C(sudo -n systemctl), or C(systemctl) alone where there is no sudo, so that nothing is ever asked.
  - Waits until the unit has stayed up for two seconds without being restarted.
  - A refusal fails the task and names its reason, such as polkit, a password that sudo wants, or an unknown unit.
author: voiceops.livekit contributors (@voiceops)
attributes:
  check_mode:
    description: Can run in check mode and return what would be done.
    support: full
  diff_mode:
    description: Returns details of what has changed, or would be changed, in diff mode.
    support: none
options:
  name:
    description: The unit's name, as C(systemctl) takes it.
    type: str
    required: true
  state:
    description:
      - V(started) starts it where it is not up. V(restarted) always restarts it.
      - A unit that is active and has ended, such as C(postgresql) on Debian, does not tell whether what it started is
        up. V(started) and V(reset) restart it.
      - V(reset) clears its failed state and starts it once, where it is not up.
    type: str
    choices: [started, restarted, reset]
    default: started
  deadline:
    description: Seconds until the unit must be up.
    type: float
    default: 60
"""

EXAMPLES = r"""
- name: Start the API's service where it is down
  voiceops.livekit.systemd_unit:
    name: proto-trainer-next
    state: started
"""

RETURN = r"""
summary:
  description: What was done, one sentence.
  returned: success
  type: str
  sample: proto-trainer-next is active (running) now.
steps:
  description: The commands that were run, each with C(at) (RFC 3339 in UTC), C(what), C(took_s) and C(output).
  returned: success
  type: list
  elements: dict
before:
  description: What systemd said of the unit before.
  returned: success
  type: dict
  contains:
    active_state: {description: Its ActiveState., type: str, returned: always}
    sub_state: {description: Its SubState., type: str, returned: always}
    result: {description: Its Result., type: str, returned: always}
    restarts: {description: Its NRestarts., type: str, returned: always}
after:
  description: What systemd says of it now, as RV(before).
  returned: success
  type: dict
reason:
  description: V(refused), where it is certain that nothing was done.
  returned: failure
  type: str
"""

import getpass
import re
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.voiceops.livekit.plugins.module_utils.unit_change import (
    STATES,
    UnitError,
    UnitRefusedError,
    change,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": list(STATES), "default": "started"},
            "deadline": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )
    name, seconds = module.params["name"], module.params["deadline"]
    if not re.fullmatch(r"[\w.@:\\][\w.@:\\-]*", name):
        module.fail_json(msg=f"name: expected the name of a systemd unit such as proto-trainer-next, got {name!r}")
    if not 0 < seconds <= 3600:
        module.fail_json(msg=f"deadline: expected seconds above 0 and up to 3600, got {seconds:g}")
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "USER"
    try:
        done = change(name, module.params["state"], time.monotonic() + seconds, user=user, dry=module.check_mode)
    except UnitRefusedError as refused:
        module.fail_json(msg=str(refused), reason="refused")
    except UnitError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**done)


if __name__ == "__main__":
    main()

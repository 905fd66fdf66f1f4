# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a diagnosis is compared with: a bare script that asks the same, and a playbook as one would first write it.

Both only ask; neither classifies, correlates or writes a report.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from livekit.api import AccessToken, VideoGrants

Lab = dict[str, Any]
"""What C(lab.json) holds of a running lab."""


def controller_probes(variables: dict[str, Any]) -> list[str]:
    """The shell commands for the layers client, tunnel, secrets, callback and agent; C(environment) serves them."""
    cloud, inspector = variables["voiceops_livekit_url"], variables["voiceops_inspector_url"]
    url = shlex.quote(variables["voiceops_callback_url"])
    lk = f"cd {shlex.quote(variables['voiceops_agent_dir'])} && {shlex.quote(variables['voiceops_lk'])}"
    post = "curl -s -m 10 -H 'Content-Type: application/json' -d '{}'"
    rooms = f'{post} -H "Authorization: Bearer $TOKEN" {cloud}/twirp/livekit.RoomService'
    return [
        "date -u",
        f"{rooms}/ListRooms",
        f"curl -s -m 10 -o /dev/null -w '%{{http_code}}' {url}",
        f"curl -s -m 10 '{inspector}/api/requests/http?limit=200'",
        f"curl -s -m 10 {inspector}/api/tunnels",
        f"{lk} agent secrets",
        f'{post} -H "X-Internal-Service-Key: $CALLBACK_KEY" {url}',
        f"{post} -H 'X-Internal-Service-Key: wrong' {url}",
        f"{lk} --version",
        f"{lk} agent status",
        f"{lk} agent versions",
        # The agent of the incident sleeps: of one that runs, the stream would not end by itself.
        f"{lk} agent logs",
    ]


def service_probes(variables: dict[str, Any]) -> list[str]:
    """The shell commands for the layer service, to run on the Pi."""
    unit = shlex.quote(variables["voiceops_service_unit"])
    path = urlsplit(variables["voiceops_callback_url"]).path
    return [
        "date -u",
        "timedatectl show",
        f"systemctl show {unit}",
        "journalctl --no-pager | head -n 1",
        f"journalctl --no-pager -u {unit} --since '20 min ago'",
        f"journalctl --no-pager -u {unit} | grep internal | tail -n 20",
        "journalctl --no-pager -u systemd-journald | grep Suppressed | tail -n 20",
        "journalctl --no-pager -k --since '20 min ago' | grep -Ei 'under-?voltage detected|out of memory: killed'",
        f"sudo -n -ll systemctl start {unit}",
        "df / /var /var/log /tmp",
        "df --inodes / /var /var/log /tmp",
        f"curl -s -m 3 -o /dev/null -w '%{{http_code}}' http://localhost:{variables['voiceops_service_port']}{path}",
    ]


def environment(variables: dict[str, Any]) -> dict[str, str]:
    """The addresses and keys that the commands take from their environment."""
    key, secret = variables["voiceops_livekit_api_key"], variables["voiceops_livekit_api_secret"]
    return {
        **variables["voiceops_lk_environment"],
        "LIVEKIT_URL": variables["voiceops_livekit_url"],
        "LIVEKIT_API_KEY": key,
        "LIVEKIT_API_SECRET": secret,
        "CALLBACK_KEY": variables["voiceops_callback_key"],
        "TOKEN": AccessToken(key, secret).with_grants(VideoGrants(room_list=True)).to_jwt(),
    }


def ssh_options(lab: Lab) -> str:
    """The options with which ssh reaches the lab's Pi."""
    at = lab["ssh"]
    known_hosts = f'UserKnownHostsFile="{at["known_hosts"]}"'
    return shlex.join(
        ["-o", f"Port={at['port']}", "-i", at["private_key"], "-o", "IdentitiesOnly=yes", "-o", known_hosts]
    )


def script(lab: Lab, place: Path) -> list[str]:
    """Write the bare script into C(place), and return the command that runs it: every probe at once, then wait."""
    ssh = f"ssh {ssh_options(lab)} {lab['ssh']['user']}@127.0.0.1"
    commands = controller_probes(lab["variables"])
    commands += [f"{ssh} {shlex.quote(probe)}" for probe in service_probes(lab["variables"])]
    lines = [f"({command}) >{number}.out 2>&1 &" for number, command in enumerate(commands)]
    path = place / "probes.sh"
    path.write_text("\n".join([*lines, "wait", ""]), encoding="utf-8")
    return ["bash", str(path)]


def _asked_and_shown(probe: str) -> list[dict[str, Any]]:
    return [
        {"ansible.builtin.shell": probe, "ignore_errors": True, "register": "answer"},
        {"ansible.builtin.debug": {"var": "answer.stdout_lines"}},
    ]


def naive_playbook(lab: Lab, place: Path) -> list[str]:
    """Write the naive playbook into C(place), and return its command.

    It gathers facts, has a task for each probe and one that shows the answer, and leaves every setting as it is.
    """
    asked = {"mac": controller_probes(lab["variables"]), "pi-hub": service_probes(lab["variables"])}
    plays = [
        {"hosts": host, "tasks": [task for probe in probes for task in _asked_and_shown(probe)]}
        for host, probes in asked.items()
    ]
    hosts = {
        "mac": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
        "pi-hub": {
            "ansible_host": "127.0.0.1",
            "ansible_user": lab["ssh"]["user"],
            "ansible_ssh_common_args": ssh_options(lab),
            "ansible_remote_tmp": f"{lab['ssh']['home']}/.ansible/tmp",
        },
    }
    # JSON is YAML, and quotes every command safely.
    for name, content in (("naive.yml", plays), ("hosts.json", {"all": {"hosts": hosts}})):
        (place / name).write_text(json.dumps(content), encoding="utf-8")
    return ["ansible-playbook", "-i", str(place / "hosts.json"), str(place / "naive.yml")]

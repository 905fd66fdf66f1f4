# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one tree serves each way in which people use it, tried in temporary places with an empty home folder.

Each way runs the real playbook to its end. Nothing can be asked there, so the incident must say that nothing is known.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FOREIGN = ("ANSIBLE_", "LIVEKIT_", "VOICEOPS_", "LK_", "PYTHONPATH", "PYTEST_", "VIRTUAL_ENV")
BIN = Path(sys.executable).parent
QUICK = ["-e", "voiceops_dispatch_probe=never", "-e", "voiceops_deadline=2"]
# What AWX's own demo inventory says of localhost.
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
PLAYBOOK_BY_NAME = "voiceops.livekit.diagnose"


def run(
    command: Sequence[str | Path], cwd: Path, home: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a clean environment and return it; it must succeed within two minutes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**kept, "HOME": str(home), "PATH": path, "ANSIBLE_NOCOLOR": "1", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout[-4000:]}"
    return done


def the_incident(artifacts: Path) -> dict[str, Any]:
    """The incident that a run wrote."""
    incident: dict[str, Any] = json.loads((artifacts / "latest/incident.json").read_text(encoding="utf-8"))
    return incident


def assert_diagnosed(artifacts: Path) -> None:
    """Assert that a whole diagnosis was written: one record for each layer, and a verdict that claims nothing."""
    incident = the_incident(artifacts)
    assert incident["schema"] == "voiceops.incident/1"
    assert set(incident["evidence"]) >= {"client", "tunnel", "secrets", "callback", "service", "agent", "dispatch"}
    assert incident["verdict"]["state"] == "inconclusive"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files as git knows them, links as links, in a path with a space."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    place = tmp_path_factory.mktemp("clone") / "a new clone"
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).is_symlink() or (PROJECT / name).exists():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, place / name, follow_symlinks=False)
    return place


@pytest.fixture(scope="session")
def tarball(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as C(ansible-galaxy collection build) packs it."""
    place = tmp_path_factory.mktemp("tarball")
    run(["ansible-galaxy", "collection", "build", "--output-path", place, clone], place, place)
    (built,) = place.glob("voiceops-livekit-*.tar.gz")
    return built


@pytest.fixture(scope="session")
def installed(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collections path into which the tarball was installed."""
    place = tmp_path_factory.mktemp("installed")
    install = ["ansible-galaxy", "collection", "install", "--offline", "--collections-path", place, tarball]
    run(install, place, place)
    return place


def test_the_tarball_holds_what_is_used_and_nothing_else(installed: Path) -> None:
    root = installed / "ansible_collections/voiceops/livekit"
    assert {"plugins", "roles", "playbooks", "meta", "README.md", "LICENSE", "CHANGELOG.rst"} <= set(os.listdir(root))
    assert {".git", ".venv", ".lab", "ansible.cfg", "artifacts", "collections", "dist"}.isdisjoint(os.listdir(root))
    assert not (root / "playbooks/collections").exists()


def test_a_plain_clone(clone: Path, home: Path, tmp_path: Path) -> None:
    # ansible.cfg names the example inventory: it is read, but its hosts may be somebody's, so nothing is asked there.
    listed = run(["ansible-playbook", "playbooks/diagnose.yml", "--list-hosts"], clone, home).stdout
    assert {"localhost", "mac", "pi-hub"} <= set(listed.split())

    quick = [*QUICK, "-i", "/dev/null", "-e", f"voiceops_artifacts={tmp_path}/a"]
    run(["ansible-playbook", "playbooks/diagnose.yml", *quick], clone, home)
    assert_diagnosed(tmp_path / "a")


def test_from_within_the_folder_of_playbooks(clone: Path, home: Path, tmp_path: Path) -> None:
    playbooks = clone / "playbooks"
    run(["ansible-playbook", "diagnose.yml", *QUICK, "-e", f"voiceops_artifacts={tmp_path}/a"], playbooks, home)
    assert_diagnosed(tmp_path / "a")


def test_by_name_from_an_installed_tarball(installed: Path, home: Path, tmp_path: Path) -> None:
    here = {"ANSIBLE_COLLECTIONS_PATH": str(installed)}
    run(["ansible-playbook", PLAYBOOK_BY_NAME, *QUICK], tmp_path, home, here)
    assert_diagnosed(tmp_path / "artifacts")


def test_by_name_from_an_installed_wheel(clone: Path, home: Path, tmp_path: Path) -> None:
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, clone], tmp_path, home)
    (wheel,) = tmp_path.glob("*.whl")
    # Its dependencies are those of the environment that runs the tests, so that none is downloaded.
    run([sys.executable, "-m", "venv", "--without-pip", "new"], tmp_path, home)
    (site,) = tmp_path.glob("new/lib/python*/site-packages")
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "dependencies.pth").write_text(ours, encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", "new/bin/python"]
    run([*pip, "install", "--quiet", "--no-index", wheel], tmp_path, home)

    run(["new/bin/python", "-m", "ansible", "playbook", PLAYBOOK_BY_NAME, *QUICK], tmp_path, home)
    assert_diagnosed(tmp_path / "artifacts")


def awx_sync(project: Path, projects_root: Path, home: Path) -> Path:
    """Install the project's requirements as AWX 24.6 does (its awx/playbooks/project_update.yml); return its cache."""
    cache = projects_root / ".__awx_cache" / project.name / "stage"
    (cache / "tmp").mkdir(parents=True)
    env = {
        "ANSIBLE_FORCE_COLOR": "false",
        "ANSIBLE_COLLECTIONS_PATHS": str(cache / "requirements_collections"),
        "ANSIBLE_ROLES_PATH": str(cache / "requirements_roles"),
        "ANSIBLE_LOCAL_TEMP": str(cache / "tmp"),
    }
    run(["ansible-galaxy", "collection", "install", "-r", project / "collections/requirements.yml"], project, home, env)
    return cache


def awx_job(project: Path, cache: Path, private: Path, home: Path) -> dict[str, Any]:
    """Run the playbook as AWX 24.6 does (its awx/main/tasks/jobs.py); return the artifacts that AWX would keep."""
    shutil.copytree(project, private / "project", ignore=shutil.ignore_patterns(".git"), symlinks=True)
    collections = private / "requirements_collections"
    if (cache / "requirements_collections").exists():
        shutil.copytree(cache / "requirements_collections", collections, symlinks=True)
    (private / "inventory").mkdir()
    (private / "inventory/hosts.json").write_text(
        json.dumps({"all": {"hosts": {"localhost": LOCAL}}}), encoding="utf-8"
    )
    (private / "env").mkdir()
    extra = {"voiceops_dispatch_probe": "never", "voiceops_deadline": 2}
    (private / "env/extravars").write_text(json.dumps(extra), encoding="utf-8")
    path = f"{collections}:/usr/share/ansible/collections"
    env = {"ANSIBLE_COLLECTIONS_PATH": path, "ANSIBLE_COLLECTIONS_PATHS": path}
    run(["ansible-runner", "run", private, "-p", "playbooks/diagnose.yml", "-i", "job"], private, home, env)

    events = (json.loads(file.read_text()) for file in private.glob("artifacts/job/job_events/*.json"))
    (stats,) = (event for event in events if event["event"] == "playbook_on_stats")
    kept: dict[str, Any] = stats["event_data"]["artifact_data"]
    return kept


def test_a_project_of_awx(clone: Path, home: Path, tmp_path: Path) -> None:
    cache = awx_sync(clone, tmp_path / "projects", home)
    kept = awx_job(clone, cache, tmp_path / "job", home)
    assert {"voiceops_verdict", "voiceops_action", "voiceops_incident_id"} <= set(kept)
    assert_diagnosed(tmp_path / "job/project/artifacts")


def test_a_remote_archive_holds_no_links_and_installs_itself(clone: Path, home: Path, tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    work = tmp_path / "work"
    shutil.copytree(clone, work, symlinks=True)
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["commit", "-q", "-m", "all"],
        ["archive", "-o", "../it.zip", "HEAD"],
    ):
        run([*git, *command], work, home)
    shutil.unpack_archive(tmp_path / "it.zip", tmp_path / "archive")
    assert not (tmp_path / "archive/playbooks/collections").exists()

    path = {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "path")}
    project = tmp_path / "archive"
    run(["ansible-galaxy", "collection", "install", "-r", "collections/requirements.yml"], project, home, path)
    run(["ansible-playbook", "playbooks/diagnose.yml", "-i", "/dev/null", *QUICK], project, home, path)
    assert_diagnosed(project / "artifacts")


def test_a_role_alone_in_a_playbook_of_somebody_else(installed: Path, home: Path, tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text(
        """
- name: A runbook of our own
  hosts: localhost
  gather_facts: false
  roles: [voiceops.livekit.service]
  post_tasks:
    - name: Keep what it found
      ansible.builtin.copy:
        content: "{{ ansible_facts.voiceops_evidence.service | to_json }}"
        dest: "{{ playbook_dir }}/service.json"
        mode: "0600"
""",
        encoding="utf-8",
    )
    here = {"ANSIBLE_COLLECTIONS_PATH": str(installed)}
    run(["ansible-playbook", "site.yml", "-e", "voiceops_service_unit=no-such-unit"], tmp_path, home, here)
    record = json.loads((tmp_path / "service.json").read_text(encoding="utf-8"))
    assert record["layer"] == "service"
    assert record["state"] != "healthy"

# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of the stand-in cloud's agent, without HTTP and by a clock of the test's own."""

from __future__ import annotations

import pytest
from integration.cloud_running import NOW, load
from livekit import api
from livekit.protocol import room

from lab.cloud_agent import CloudAgent
from lab.cloud_clock import Clock
from lab.cloud_rooms import Rooms

ASLEEP = {"deployments": [{"status": "Sleeping", "replicas": 0}]}


class Wall:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> float:
        return self.time


class World:
    """An agent and its rooms, without HTTP."""

    def __init__(self, tmp_path, spec: dict) -> None:
        self.wall = Wall()
        self.clock = Clock(wall=self.wall)
        self.agent = CloudAgent(load(tmp_path, {"agent": spec})["cloud"]["agent"], self.clock)
        self.rooms = Rooms([], self.agent, self.clock)

    def later(self, seconds: float) -> None:
        self.wall.time += seconds
        self.clock.advance()

    def session(self, name: str = "", deployment: str = "", wait: float = 60.0) -> tuple[str, int, int]:
        """Have a session begin; give the agent's status, the number of jobs and of participants after a while."""
        wanted = api.RoomAgentDispatch(agent_name=name, deployment=deployment)
        self.rooms.create(room.CreateRoomRequest(name="s", agents=[wanted]))
        self.later(wait)
        answer = (self.agent.deployments[0]["status"], len(self.jobs()), len(self.people()))
        self.rooms.delete(room.DeleteRoomRequest(room="s"))
        return answer

    def jobs(self):
        listed = self.rooms.list_dispatches(api.ListAgentDispatchRequest(room="s"))
        return [job for dispatch in listed.agent_dispatches for job in dispatch.state.jobs]

    def people(self):
        return self.rooms.participants(room.ListParticipantsRequest(room="s")).participants


@pytest.mark.parametrize(
    ("spec", "dispatch", "seen"),
    [
        ({}, {}, ("Running", 1, 1)),
        (ASLEEP, {}, ("Running", 1, 1)),
        (ASLEEP | {"wakes": False}, {}, ("Sleeping", 0, 0)),
        ({"wakes": False}, {}, ("Running", 0, 0)),
        (ASLEEP | {"wakes": "never-joins"}, {}, ("Running", 1, 0)),
        ({"crashes": True}, {}, ("CrashLoop", 1, 0)),
        ({"deployments": [{"status": "CrashLoop"}]}, {}, ("CrashLoop", 0, 0)),
        ({"deployments": [{"status": "Build Failed"}]}, {}, ("Build Failed", 0, 0)),
        ({"deployments": [{"status": "Error"}]}, {}, ("Error", 0, 0)),
        ({"deployments": [{"status": "Error", "replicas": 0}]}, {}, ("Running", 1, 1)),
        ({"deployments": [{"status": "Updating"}]}, {}, ("Updating", 1, 1)),
        ({"name": "coach"}, {"name": "coach"}, ("Running", 1, 1)),
        ({"name": "coach"}, {"name": "couch"}, ("Running", 0, 0)),
        ({"name": "coach"}, {}, ("Running", 0, 0)),
        ({}, {"deployment": "staging"}, ("Running", 0, 0)),
    ],
)
def test_what_becomes_of_a_session(tmp_path, spec, dispatch, seen):
    assert World(tmp_path, spec).session(**dispatch) == seen


def test_waking_takes_its_time_and_an_awake_agent_joins_sooner(tmp_path):
    world = World(tmp_path, ASLEEP | {"wake_delay": 15})
    assert world.session(wait=14) == ("Waking", 0, 0)
    world.later(1)
    assert world.session(wait=1) == ("Running", 1, 1)


def test_a_room_that_is_gone_when_the_agent_wakes_does_no_harm(tmp_path):
    world = World(tmp_path, ASLEEP | {"wake_delay": 15})
    world.session(wait=1)
    world.later(60)
    assert world.agent.deployments[0]["status"] == "Running"
    assert not world.rooms.list(room.ListRoomsRequest()).rooms


@pytest.mark.parametrize("heal", ["restart", "deploy", "secrets"])
@pytest.mark.parametrize(
    ("spec", "after"),
    [
        (ASLEEP | {"wakes": False}, ("Running", 1, 1)),
        (ASLEEP | {"wakes": "never-joins"}, ("Running", 1, 0)),
        ({"crashes": True, "deployments": [{"status": "CrashLoop"}]}, ("CrashLoop", 0, 0)),
        ({"deployments": [{"status": "Build Failed"}]}, ("Running", 1, 1)),
    ],
)
def test_a_new_container_heals_staleness_but_not_the_code(tmp_path, spec, after, heal):
    world = World(tmp_path, spec)
    world.session()
    if heal == "restart":
        world.agent.restart(world.clock.now())
    elif heal == "secrets":
        world.agent.update_secrets(["NEW"], False, world.clock.now())
    else:
        world.agent.begin_deploy(world.clock.now())
        world.agent.finish_deploy(world.clock.now())
    assert world.session() == after


def test_a_rollback_heals_the_code(tmp_path):
    bad, good = {"version": "2", "created_at": "-1h"}, {"version": "1", "current": False, "created_at": "-2d"}
    world = World(tmp_path, {"crashes": True, "versions": [bad, good]})
    assert world.session()[0] == "CrashLoop"
    assert not world.agent.rollback("0", NOW)
    assert world.agent.rollback("latest", NOW)
    assert [(v["version"], v["current"]) for v in world.agent.versions] == [("2", False), ("1", True)]
    assert world.session() == ("Running", 1, 1)


def test_crashes_are_counted_as_events(tmp_path):
    world = World(tmp_path, {"crashes": True})
    world.session()
    assert [event["type"] for event in world.agent.deployments[0]["events"]] == ["AGENT_EVENT_TYPE_APPLICATION_CRASHED"]


def test_a_deployment_makes_a_version_and_touches_every_secret(tmp_path):
    world = World(tmp_path, {})
    world.agent.begin_deploy(NOW)
    assert [(v["current"], v["status"]) for v in world.agent.versions] == [(True, "Running"), (False, "Building")]
    world.agent.finish_deploy(NOW + 60)
    assert [v["current"] for v in world.agent.versions] == [False, True]
    assert world.agent.deployments[0]["version"] == "20260206224800"
    assert {secret["updated_at"] for secret in world.agent.secrets} == {NOW + 60}


@pytest.mark.parametrize(("overwrite", "names"), [(False, ["OLD", "NEW"]), (True, ["NEW"])])
def test_secrets_are_merged_or_replaced(tmp_path, overwrite, names):
    world = World(tmp_path, {"secrets": [{"name": "OLD"}]})
    world.agent.update_secrets(["NEW"], overwrite, NOW)
    assert [secret["name"] for secret in world.agent.secrets] == names


def test_the_agent_says_when_it_listens_and_leaves_after_its_dispatch(tmp_path):
    world = World(tmp_path, {"wake_delay": 0})
    dispatch = world.rooms.create_dispatch(api.CreateAgentDispatchRequest(room="s"))
    world.later(0)
    assert {p.attributes["lk.agent.state"] for p in world.people()} == {"initializing"}
    world.later(1)
    assert {p.attributes["lk.agent.state"] for p in world.people()} == {"listening"}
    assert len(world.people()) == 2, "a dispatch into a new room comes on top of the room's own"
    world.rooms.delete_dispatch(api.DeleteAgentDispatchRequest(room="s", dispatch_id=dispatch.id))
    world.later(4)
    assert len(world.people()) == 1

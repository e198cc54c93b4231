"""What participants ask by signalling: who may, what is answered, and in which words it is refused."""

from types import SimpleNamespace

import pytest

from media.errors import PeerError
from sfu.meeting.permissions import Grants
from tidegate.http.egress_commands import EgressCommands
from tidegate.store import Broadcast, Recording

ROOM = SimpleNamespace(
    project_id="p", room_id="r", custom_room_id=None, multi_composition=None, auto_start_config=None, disabled=False
)


class Rows:
    def __init__(self, *rows):
        self.rows = rows

    async def find(self, project_id, row_id):
        return next((row for row in self.rows if row.id == row_id), None)

    async def running(self, project_id, room_id, **_):
        return list(self.rows)


class Egress:
    async def update_composition(self, row_id, patch):
        return SimpleNamespace(id=row_id, config=patch.config)

    async def stop_recording(self, row_id):
        raise AssertionError("nothing was to be stopped")

    stop_broadcast = stop_recording

    async def start_broadcast(self, request):
        output = {"id": "o1", "url": "rtmp://a.example/live", "state": "connecting", "bitrate": 1, "retries": 0}
        return SimpleNamespace(id="b1", outputs=[output])


def commands(room=ROOM, recordings=(), broadcasts=()):
    async def find_live(room_id):
        return room

    store = SimpleNamespace(
        rooms=SimpleNamespace(find_live=find_live), recordings=Rows(*recordings), broadcasts=Rows(*broadcasts)
    )
    return EgressCommands(store, Egress())  # type: ignore[arg-type]


def who(**grants):
    return SimpleNamespace(room_id="r", grants=Grants(join=True, **grants))


async def refused(made, participant, method, params):
    with pytest.raises(PeerError) as error:
        await made.command(participant, method, params)
    return error.value


async def test_a_picture_is_changed_by_who_may_make_it():
    made = commands(recordings=[Recording(id="r1", room_id="r", config={})], broadcasts=[Broadcast(id="b1", room_id="r", config={})])
    patch = {"config": {"theme": "LIGHT"}}
    assert (await made.command(who(record=True), "update-composition", {"id": "r1", **patch}))["id"] == "r1"
    assert (await made.command(who(broadcast=True), "update-composition", {"id": "b1", **patch}))["id"] == "b1"
    assert (await refused(made, who(record=True), "update-composition", {"id": "b1", **patch})).code == 4025
    assert (await refused(made, who(broadcast=True), "update-composition", {"id": "r1", **patch})).code == 4025


async def test_outputs_are_shown_as_the_room_sees_them():
    params = {"outputs": [{"url": "rtmp://a.example/live", "streamKey": "very-secret"}]}
    answer = await commands().command(who(broadcast=True), "start-livestream", params)
    assert answer["outputs"] == [{"id": "o1", "url": "rtmp://a.example/live", "status": "connecting", "error": None}]


async def test_nothing_to_stop_and_too_much_to_choose_from():
    assert (await refused(commands(), who(record=True), "stop-recording", {})).code == 4012
    assert (await refused(commands(), who(broadcast=True), "stop-livestream", {})).code == 4014
    two = commands(recordings=[Recording(id="a"), Recording(id="b")])
    assert "by its id" in (await refused(two, who(record=True), "stop-recording", {})).reason


async def test_a_disabled_room_takes_nothing_new():
    made = commands(SimpleNamespace(**vars(ROOM) | {"disabled": True}))
    assert (await refused(made, who(record=True), "start-recording", {})).code == 4052


async def test_a_mistake_is_told_with_its_path():
    error = await refused(commands(), who(record=True), "start-recording", {"config": {"layout": {"type": "CIRCLE"}}})
    assert error.code == 4021 and "config.layout" in error.reason
    error = await refused(commands(), who(broadcast=True), "start-livestream", {"outputs": []})
    assert error.code == 4015 and "outputs" in error.reason

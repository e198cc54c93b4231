"""Whatever a client sends is answered or ends its socket, and costs nobody else anything."""

import json
import logging

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.signalling import stage
from tests.support.signalling_fuzz import JSON, requests

MESSAGES = st.lists(requests().map(json.dumps) | JSON.map(json.dumps) | st.text(max_size=50), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(MESSAGES, st.booleans())
async def test_any_conversation(caplog, conversation, joined):
    caplog.set_level(logging.WARNING)
    caplog.clear()
    async with stage() as at:
        ann = await at.join("ann")
        client = await (at.join("fuzz") if joined else at.connect())
        answers, alive = 0, True
        for text in conversation:
            if client.ws.closed:
                break
            await client.ws.send_str(text.encode(errors="replace").decode())
            answered = False
            while alive and not answered:
                message = await client.receive()
                if message is None:
                    alive = False
                elif "event" not in message:
                    answered = True
                    answers += 1
                    assert set(message) in ({"id", "result"}, {"id", "error"})
                    assert message.get("error", {}).get("code") != 5000, text
            if not alive:
                break
        assert answers <= len(conversation)
        if not ann.ws.closed and "ann" in getattr(at.rooms.get("room"), "participants", {}):
            await ann.request("ping")
        await at.join("after", room="another")
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]

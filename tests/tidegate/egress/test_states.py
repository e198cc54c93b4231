"""Which state follows which."""

import pytest

from tidegate.egress import states
from tidegate.store.media_models import ENDED_STATES, RUNNING_STATES


@pytest.mark.parametrize("table", states.TABLES.values())
def test_what_has_ended_stays_so_and_everything_can_end(table):
    for state, following in table.items():
        assert bool(following) != (state in ENDED_STATES)
        reached, new = set(), {state}
        while new:
            reached |= new
            new = {after for one in new for after in table[one]} - reached
        assert reached & set(ENDED_STATES)


@pytest.mark.parametrize("table", [states.RECORDINGS, states.BROADCASTS])
def test_nothing_runs_again(table):
    for state, following in table.items():
        if state not in RUNNING_STATES:
            assert not following & set(RUNNING_STATES)


async def test_a_row_is_moved_only_to_what_follows(scene):
    row, _ = await scene.recording()
    recordings = scene.store.recordings
    with pytest.raises(states.NotNow):
        async with recordings.transaction() as tx:
            await states.move(tx, recordings, row.id, "stopped", error="no")
    kept = await recordings.get(row.id)
    assert (kept.state, kept.error) == ("recording", None)
    async with recordings.transaction() as tx:
        assert (await states.move(tx, recordings, row.id, "recording", error="same state")).error == "same state"

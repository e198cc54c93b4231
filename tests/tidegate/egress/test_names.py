from __future__ import annotations

import pytest

from tidegate.egress import names
from tidegate.storage.disk import checked
from tidegate.store import Recording


@pytest.mark.parametrize(
    ("participant_id", "plain"),
    [("ann", True), ("a@b.example", True), ("..", False), ("a/../../b", False), (".hidden", False), ("😀" * 64, False), ("ann\\b", False)],
)
def test_no_participant_id_leads_out_of_the_storage(participant_id, plain):
    row = Recording(id="r", directory="calls", session_id="s", participant_id=participant_id, track_kind="audio")
    folder = names.folder(row)
    head, session, person, kind = folder.split("/")
    assert (head, session, kind) == ("calls", "s", "audio") and (person == participant_id) == plain
    assert str(checked(folder)) == folder and len(person.encode()) <= 64

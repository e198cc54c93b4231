import json

from tidegate.egress import timeline
from tidegate.egress.timeline import Timeline


def written(tmp_path, line: Timeline) -> dict:
    line.append(line.take())
    path = timeline.finish(tmp_path, {"recordingId": "r"})
    assert path is not None
    return json.loads(path.read_text(encoding="utf-8"))


def test_facts_stand_in_media_time(tmp_path):
    line = Timeline(tmp_path)
    line.add("participant-joined", 99.0, participantId="ada", name="Ada Ü")
    line.begin(100.0)
    line.add("track-muted", 102.5, participantId="ada", source="mic")
    document = written(tmp_path, line)
    assert document["start"] == 100.0
    assert document["recordingId"] == "r"
    assert document["events"] == [
        {"at": 0.0, "type": "participant-joined", "participantId": "ada", "name": "Ada Ü"},
        {"at": 2.5, "type": "track-muted", "participantId": "ada", "source": "mic"},
    ]
    assert not (tmp_path / timeline.JOURNAL).exists()


def test_what_a_killed_node_left_is_still_made_a_document(tmp_path):
    line = Timeline(tmp_path)
    line.begin(10.0)
    line.add("speaker", 11.0, participantId="ada")
    line.append(line.take())
    with open(tmp_path / timeline.JOURNAL, "ab") as file:
        file.write(b'{"wall": 12.0, "ty')
    path = timeline.finish(tmp_path, {})
    assert path is not None
    assert [event["at"] for event in json.loads(path.read_text())["events"]] == [1.0]


def test_begun_again_it_keeps_its_zero(tmp_path):
    line = Timeline(tmp_path)
    line.begin(10.0)
    line.begin(20.0)
    line.add("speaker", 21.0, participantId=None)
    assert written(tmp_path, line)["events"][0]["at"] == 11.0


def test_too_much_is_left_out_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr(timeline, "MAX_EVENTS", 3)
    line = Timeline(tmp_path)
    line.begin(0.0)
    for second in range(5):
        line.add("speaker", float(second), participantId=None)
    document = written(tmp_path, line)
    assert len(document["events"]) == 3
    assert document["complete"] is False


def test_without_a_journal_there_is_no_document(tmp_path):
    assert timeline.finish(tmp_path, {}) is None

import io
import json
import logging

import pytest

from tidegate import logs
from tidegate.config.model import LogConfig

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhcGlrZXkiOiJrIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"


@pytest.fixture(autouse=True)
def keep_logging(monkeypatch):
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    monkeypatch.setattr(logs, "_secrets", set())
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def written(config: LogConfig, *args, **kwargs) -> str:
    stream = io.StringIO()
    logs.configure(config, stream)
    logging.getLogger("some.part").warning(*args, **kwargs)
    return stream.getvalue()


def test_text_is_one_readable_line():
    line = written(LogConfig(), "joined %s", "room", extra={"peer": "PA_1"})
    assert line.endswith("warning some.part: joined room peer=PA_1\n")
    assert line.count("\n") == 1


def test_json_is_one_object_a_line():
    line = written(LogConfig(format="json"), "joined\n%s", "room", extra={"peer": "PA_1", "count": 3})
    assert line.count("\n") == 1
    record = json.loads(line)
    assert record["level"] == "warning" and record["logger"] == "some.part"
    assert record["message"] == "joined\nroom" and record["peer"] == "PA_1" and record["count"] == 3
    assert record["time"].endswith("+00:00")


@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_traceback_is_kept_and_scrubbed(kind):
    try:
        raise ValueError(f"token {TOKEN}")
    except ValueError:
        text = written(LogConfig(format=kind), "failed", exc_info=True)
    assert "Traceback" in text and "ValueError" in text
    assert TOKEN not in text


@pytest.mark.parametrize("kind", ["text", "json"])
@pytest.mark.parametrize(
    ("message", "secret"),
    [
        (f"refused {TOKEN}", TOKEN),
        (f"Authorization: Bearer {TOKEN}", TOKEN),
        ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("open postgresql+asyncpg://user:hunter22@host/db failed", "hunter22"),
        ("body {'secret': 'hunter22'}", "hunter22"),
        ('body {"password":"hunter22"}', "hunter22"),
        ("api_secret=hunter22", "hunter22"),
        ("streamKey: hunter22", "hunter22"),
        ("publish to rtmp://live.example.org/app/hunter22", "hunter22"),
    ],
)
def test_what_looks_like_a_secret_is_removed(kind, message, secret):
    for line in (
        written(LogConfig(format=kind), message),
        written(LogConfig(format=kind), "see %s", message),
        written(LogConfig(format=kind), "see", extra={"detail": message}),
        written(LogConfig(format=kind), "see", extra={"detail": [message]}),
    ):
        assert secret not in line
        assert logs.REMOVED in line


def test_a_secret_that_is_known_is_removed_wherever_it_stands():
    logs.hide("correct-horse")
    assert "correct-horse" not in written(LogConfig(), "it is correct-horse!", extra={"x": "correct-horse"})


def test_words_that_are_no_secrets_stay():
    text = "token expired for key 1234 at https://host:8080/path?a=b, secret hidden"
    assert text in written(LogConfig(), text)
    logs.hide("a")
    assert "a banana" in written(LogConfig(), "a banana")


def test_configuring_again_replaces_and_does_not_add():
    first, second = io.StringIO(), io.StringIO()
    logs.configure(LogConfig(), first)
    logs.configure(LogConfig(level="error"), second)
    logging.getLogger("x").warning("unheard")
    logging.getLogger("x").error("heard")
    assert first.getvalue() == "" and second.getvalue().count("\n") == 1


def test_libraries_are_quiet_unless_debugging():
    logs.configure(LogConfig(), io.StringIO())
    assert not logging.getLogger("aioice.ice").isEnabledFor(logging.INFO)
    logs.configure(LogConfig(level="debug"), io.StringIO())
    assert logging.getLogger("aioice.ice").isEnabledFor(logging.DEBUG)

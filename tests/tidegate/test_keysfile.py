import os
import stat
from pathlib import Path

import pytest

from media.errors import ConfigError
from tidegate import keysfile
from tidegate.config.model import AuthConfig, Config
from tidegate.keysfile import Credentials
from tidegate.store import open_store

SECRET = "s" * 40


def random_bytes(n: int) -> bytes:
    return bytes(range(n))


def test_the_first_start_makes_a_private_file_and_the_next_finds_it(tmp_path):
    config = Config(data_dir=tmp_path / "data")
    assert keysfile.find(config) is None
    made = keysfile.find_or_create(config, random_bytes)
    assert len(made.secret) == 64
    assert stat.S_IMODE(config.keys_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.data_dir.stat().st_mode) == 0o700
    assert keysfile.find_or_create(config, os.urandom) == made == keysfile.find(config)
    assert os.listdir(config.data_dir) == ["keys.toml"]


def test_the_configured_key_goes_before_the_file_and_needs_none(tmp_path):
    config = Config(data_dir=tmp_path / "data", auth=AuthConfig(api_key="mine", api_secret=SECRET))
    assert keysfile.find_or_create(config, random_bytes) == Credentials("mine", SECRET)
    assert not config.data_dir.exists()


def test_a_secret_is_not_in_a_repr():
    assert SECRET not in repr(Credentials("key", SECRET))


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("api_key = 'k'\napi_secret = 's'\n", 0o644, "chmod 600"),
        ("api_key = 'k'\napi_secret = 's'\n", 0o640, "chmod 600"),
        ("api_key = = 'k'", 0o600, "is not TOML"),
        ("api_key = 'k'\n", 0o600, "needs api_key and api_secret"),
        ("api_key = 1\napi_secret = 's'\n", 0o600, "needs api_key and api_secret"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_that_shows_no_secret(tmp_path, text, mode, words):
    path = tmp_path / "keys.toml"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=words) as caught:
        keysfile.read(path)
    assert caught.value.path == str(path)


def test_writing_replaces_the_file_whole(tmp_path):
    path = tmp_path / "keys.toml"
    keysfile.write(path, Credentials("a", SECRET))
    keysfile.write(path, Credentials("b", SECRET))
    assert keysfile.read(path) == Credentials("b", SECRET)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["keys.toml"]


@pytest.mark.parametrize("parent", ["file", "/proc/none"])
def test_a_data_directory_that_cannot_be_is_named(tmp_path, parent):
    (tmp_path / "file").write_text("")
    for path in (Path(tmp_path / parent), Path(tmp_path / parent / "below")):
        with pytest.raises(ConfigError) as caught:
            keysfile.make_data_dir(path)
        assert caught.value.path == "data_dir"


async def test_a_start_puts_the_key_into_the_store_once(tmp_path):
    config = Config(data_dir=tmp_path)
    store = await open_store(config.store_url)
    try:
        first = await keysfile.prepare(config, store, os.urandom)
        again = await keysfile.prepare(config, store, os.urandom)
        assert first.api_key == again.api_key == keysfile.find(config).api_key
        assert len(await store.keys.list(first.project_id)) == 1
        changed = Config(data_dir=tmp_path, auth=AuthConfig(api_key="mine", api_secret=SECRET))
        mine = await keysfile.prepare(changed, store, os.urandom)
        assert (mine.api_key, mine.secret, mine.project_id) == ("mine", SECRET, first.project_id)
    finally:
        await store.close()


def test_a_data_directory_is_one_servers_until_it_ends(tmp_path):
    with keysfile.hold_data_dir(tmp_path):
        with pytest.raises(ConfigError, match="is in use by a Tidegate that runs"):
            with keysfile.hold_data_dir(tmp_path):
                pass
    with keysfile.hold_data_dir(tmp_path):
        pass

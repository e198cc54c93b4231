import asyncio
import logging
import os
import signal
import ssl
from dataclasses import replace

import pytest

from media.errors import ConfigError
from tests.support.certificates import write_certificate
from tidegate.config.model import Config, LogConfig, RtcConfig
from tidegate.config.reload import CertificateFiles, Reloader, changed_paths, make_tls_context


@pytest.fixture(autouse=True)
def keep_logging():
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def served_name(context: ssl.SSLContext) -> bytes:
    """The certificate that a new connection gets, DER; both ends over memory."""
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    certificate = client.getpeercert(binary_form=True)
    assert certificate
    return certificate


def test_a_renewed_certificate_is_used_for_new_connections(tmp_path):
    cert, key = write_certificate(tmp_path)
    files = CertificateFiles(str(cert), str(key))
    before = served_name(files.context)
    assert not files.refresh()
    write_certificate(tmp_path)
    assert files.refresh()
    after = served_name(files.context)
    assert after != before
    assert after == ssl.PEM_cert_to_DER_cert(cert.read_text())
    assert not files.refresh()


def test_a_half_replaced_pair_leaves_the_old_one_until_it_is_whole(tmp_path):
    cert, key = write_certificate(tmp_path)
    files = CertificateFiles(str(cert), str(key))
    before = served_name(files.context)
    old_key = key.read_bytes()
    write_certificate(tmp_path)
    new_key = key.read_bytes()
    key.write_bytes(old_key)
    assert not files.refresh()
    assert served_name(files.context) == before
    cert_text = cert.read_text()
    cert.unlink()
    assert not files.refresh()
    cert.write_text(cert_text)
    key.write_bytes(new_key)
    assert files.refresh()
    assert served_name(files.context) != before


async def test_watching_refreshes(tmp_path):
    cert, key = write_certificate(tmp_path)
    files = CertificateFiles(str(cert), str(key))
    before = served_name(files.context)
    write_certificate(tmp_path)
    task = asyncio.create_task(files.watch(interval=0))
    for _ in range(10):  # turns of the loop
        await asyncio.sleep(0)
    task.cancel()
    assert served_name(files.context) != before


@pytest.mark.parametrize("broken", ["cert", "key", "mismatch", "absent"])
def test_files_that_cannot_serve_are_named(tmp_path, broken):
    cert, key = write_certificate(tmp_path)
    if broken == "cert":
        cert.write_text("no certificate")
    elif broken == "key":
        key.write_text("no key")
    elif broken == "absent":
        key.unlink()
    else:
        (tmp_path / "other").mkdir()
        key = write_certificate(tmp_path / "other")[1]
    with pytest.raises(ConfigError) as caught:
        make_tls_context(str(cert), str(key))
    assert caught.value.path.startswith("http.tls_")
    assert str(key if broken in ("key", "absent", "mismatch") else cert) in caught.value.reason


def test_changed_paths_are_those_that_differ():
    new = replace(Config(), rtc=RtcConfig(port=1), log=LogConfig(level="debug"))
    assert changed_paths(Config(), new) == ["rtc.port", "log.level"]


def test_reloading_applies_the_log_level_and_names_what_waits(caplog):
    heard = []
    new = replace(Config(), rtc=RtcConfig(port=1), log=LogConfig(level="error"))
    reloader = Reloader(Config(), lambda: new, heard.append)
    assert reloader.reload() == ["log.level"]
    assert heard == [new] and reloader.config is new
    assert logging.getLogger().level == logging.ERROR
    assert reloader.reload() == []


def test_a_broken_configuration_changes_nothing():
    def broken() -> Config:
        raise ConfigError("http.port", "is wrong")

    config = Config()
    reloader = Reloader(config, broken)
    assert reloader.reload() == []
    assert reloader.config is config


async def test_sighup_reloads():
    seen = asyncio.Event()
    reloader = Reloader(Config(), Config, lambda config: seen.set())
    reloader.install(asyncio.get_running_loop())
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(seen.wait(), 10)
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)

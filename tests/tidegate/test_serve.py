"""`tidegate serve` as a process: what whoever operates it sees and sends."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.support.certificates import write_certificate
from tests.support.serving import RunningServer, start_server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TIDEGATE = [sys.executable, "-m", "tidegate"]
ENV = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
PATIENCE = 30.0


def get(server: RunningServer, path: str, token: str | None = None, body: dict | None = None, **kwargs) -> dict:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": token} if token else {})
    with urlopen(Request(server.url + path, data, headers), timeout=PATIENCE, **kwargs) as answer:
        return json.loads(answer.read())


def make_token(directory: Path, *args: str, env: dict[str, str] = ENV) -> str:
    done = subprocess.run([*TIDEGATE, "token", *args], cwd=directory, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_first_start_makes_a_private_key_that_works_and_the_next_keeps_it(tmp_path):
    with start_server([*TIDEGATE, "serve"], tmp_path, env=ENV) as server:
        keys = tmp_path / "tidegate-data" / "keys.toml"
        first = tomllib.loads(keys.read_text())
        assert stat.S_IMODE(keys.stat().st_mode) == 0o600
        room = get(server, "/v2/rooms", make_token(tmp_path), {"customRoomId": "standup"})
        assert first["api_secret"] not in server.output
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0
    with start_server([*TIDEGATE, "serve"], tmp_path, env=ENV) as server:
        assert tomllib.loads(keys.read_text()) == first
        assert get(server, "/v2/rooms/standup", make_token(tmp_path))["roomId"] == room["roomId"]
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 0


def test_a_configured_key_stands_in_for_the_file_and_its_secret_is_nowhere(tmp_path):
    secret = "0123456789abcdef" * 2
    env = ENV | {"TIDEGATE_API_KEY": "mine", "TIDEGATE_API_SECRET": secret}
    with start_server([*TIDEGATE, "serve"], tmp_path, env=env) as server:
        assert get(server, "/v2/rooms", make_token(tmp_path, env=env))["data"] == []
        assert not (tmp_path / "tidegate-data" / "keys.toml").exists()
        assert Path(f"/proc/{server.process.pid}/cmdline").read_bytes().find(secret.encode()) == -1
        assert secret not in server.output


def test_keys_changed_beside_a_running_server_count_at_once(tmp_path):
    with start_server([*TIDEGATE, "serve"], tmp_path, env=ENV) as server:
        token = make_token(tmp_path)
        key = tomllib.loads((tmp_path / "tidegate-data" / "keys.toml").read_text())["api_key"]
        assert get(server, "/v2/rooms", token)["data"] == []
        subprocess.run([*TIDEGATE, "keys", "disable", key], cwd=tmp_path, env=ENV, check=True, capture_output=True)
        with pytest.raises(HTTPError) as caught:
            get(server, "/v2/rooms", token)
        with caught.value as refused:
            assert refused.code in (401, 403)
            assert json.loads(refused.read())["code"] == 4053


@pytest.mark.parametrize(
    ("flag", "kind", "path"),
    [("--http-port", socket.SOCK_STREAM, "http.port"), ("--rtc-port", socket.SOCK_DGRAM, "rtc.port")],
)
def test_a_taken_port_is_one_line_and_exit_code_2(tmp_path, flag, kind, path):
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1" if kind == socket.SOCK_STREAM else "0.0.0.0", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = str(taken.getsockname()[1])
        ports = {"--http-port": "0", "--rtc-port": "0"} | {flag: port}
        command = [*TIDEGATE, "serve", *(word for pair in ports.items() for word in pair)]
        done = subprocess.run(command, cwd=tmp_path, env=ENV, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"tidegate: {path}: ") and done.stderr.count("\n") == 1
    assert port in done.stderr and flag in done.stderr


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda d: (d / "tidegate-data").write_text(""), "data_dir"),
        (lambda d: (d / "tidegate-data" / "tidegate.db").mkdir(parents=True), "store.url"),
        (lambda d: ((d / "tidegate-data").mkdir(), (d / "tidegate-data" / "keys.toml").mkdir()), "keys.toml"),
        (lambda d: ((d / "tidegate-data").mkdir(), (d / "tidegate-data" / "tidegate.db").write_text("x" * 4096)), "store.url"),
    ],
)
def test_a_place_that_cannot_be_used_is_one_line_and_exit_code_2(tmp_path, break_it: Callable[[Path], object], words):
    break_it(tmp_path)
    command = [*TIDEGATE, "serve", "--http-port", "0", "--rtc-port", "0"]
    done = subprocess.run(command, cwd=tmp_path, env=ENV, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert words in done.stderr and done.stderr.count("\n") == 1


def test_sighup_reads_the_configuration_again_and_a_broken_one_harms_nobody(tmp_path):
    file = tmp_path / "tidegate.toml"
    file.write_text("[log]\nformat = 'text'\n")
    with start_server([*TIDEGATE, "serve"], tmp_path, env=ENV, args=["--config", str(file)]) as server:
        file.write_text("[log]\nformat = 'xml'\n")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("log.format: 'xml' is not one of")
        file.write_text("drain_timeout = 1\n[log]\nformat = 'json'\n")
        server.process.send_signal(signal.SIGHUP)
        line = server.wait_for_line("configuration read again: log.format")
        assert json.loads(line)["level"] == "info"
        assert "drain_timeout" in server.wait_for_line("wait for a restart")
        assert get(server, "/healthz") is not None


def test_a_renewed_certificate_is_served_without_a_restart(tmp_path):
    cert, key = write_certificate(tmp_path)
    args = ["--tls-cert", str(cert), "--tls-key", str(key)]
    with start_server([*TIDEGATE, "serve"], tmp_path, env=ENV, args=args) as server:
        port = int(server.url.rpartition(":")[2])

        def served() -> str:
            return ssl.get_server_certificate(("127.0.0.1", port), timeout=PATIENCE)

        assert server.url.startswith("https://")
        assert served() == ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(cert.read_text()))
        write_certificate(tmp_path)
        server.wait_for_line("certificate read again")
        assert served() == ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(cert.read_text()))


def _heed_ctrl_c() -> None:
    """A shell that runs the tests in the background has told its children to ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_events_follow_prints_what_happens(tmp_path):
    with start_server([*TIDEGATE, "serve"], tmp_path, env=ENV) as server:
        env = ENV | {"TIDEGATE_URL": server.url, "PYTHONUNBUFFERED": "1"}
        command = [*TIDEGATE, "events", "--follow"]
        reader = subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_heed_ctrl_c
        )
        try:
            # It reads from now on, so rooms are made until it has heard of one.
            heard: list[str] = []
            listener = threading.Thread(target=lambda: heard.append(reader.stdout.readline()), daemon=True)
            listener.start()
            token = make_token(tmp_path)
            for _ in range(int(PATIENCE / 0.2)):
                get(server, "/v2/rooms", token, {})
                listener.join(0.2)
                if not listener.is_alive():
                    break
            event = json.loads(heard[0])
            assert event["event"] == "room-created" and event["data"]
            reader.send_signal(signal.SIGINT)
            assert reader.wait(PATIENCE) == 0
        finally:
            reader.kill()
            reader.communicate()

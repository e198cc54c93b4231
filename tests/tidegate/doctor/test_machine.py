import os
import resource
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.support.certificates import write_certificate
from tidegate import keysfile
from tidegate.config.model import Config, HttpConfig, RtcConfig, RtmpConfig
from tidegate.doctor import machine as doctor


def only(findings):
    (finding,) = findings
    return finding


def statuses(findings):
    return {finding.subject: finding.status for finding in findings}


@pytest.fixture
def ephemeral(tmp_path):
    return Config(data_dir=tmp_path, http=HttpConfig(port=0), rtc=RtcConfig(port=0), rtmp=RtmpConfig(port=0))


def test_free_ports_are_fine(ephemeral):
    assert set(statuses(doctor.check_ports(ephemeral)).values()) == {"ok"}


@pytest.mark.parametrize(
    ("kind", "subject", "status"),
    [
        (socket.SOCK_STREAM, "HTTP port", "fail"),
        (socket.SOCK_DGRAM, "media port", "fail"),
        (socket.SOCK_STREAM, "RTMP port", "note"),  # nothing opens it yet
    ],
)
def test_a_taken_port_is_named_with_how_to_find_who_has_it(tmp_path, kind, subject, status):
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1" if kind == socket.SOCK_STREAM else "0.0.0.0", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        ports = {name: port if name == subject else 0 for name in ("HTTP port", "media port", "RTMP port")}
        config = Config(
            data_dir=tmp_path,
            http=HttpConfig(port=ports["HTTP port"]),
            rtc=RtcConfig(port=ports["media port"]),
            rtmp=RtmpConfig(port=ports["RTMP port"]),
        )
        findings = list(doctor.check_ports(config))
    (taken_one,) = (finding for finding in findings if finding.status != "ok")
    assert (taken_one.subject, taken_one.status) == (subject, status)
    assert str(port) in taken_one.advice and "ss -l" in taken_one.advice


@pytest.mark.parametrize(("name", "status"), [("tidegate", "ok"), ("another", "fail")])
def test_the_ports_of_a_running_tidegate_are_its_own(tmp_path, name, status):
    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = name, ""

        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words): ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        media.bind(("0.0.0.0", 0))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = Config(
            data_dir=tmp_path,
            http=HttpConfig(port=server.server_port),
            rtc=RtcConfig(port=media.getsockname()[1]),
            rtmp=RtmpConfig(port=0),
        )
        found = statuses(doctor.check_ports(config))
        server.shutdown()
    assert (found["HTTP port"], found["media port"]) == (status, status)


def test_an_address_that_is_not_ours_fails(ephemeral):
    config = Config(data_dir=ephemeral.data_dir, http=HttpConfig(host="192.0.2.123", port=0), rtc=ephemeral.rtc)
    assert statuses(doctor.check_ports(config))["HTTP port"] == "fail"


def test_the_data_directory_is_looked_at_and_not_made(tmp_path):
    config = Config(data_dir=tmp_path / "absent")
    assert only(doctor.check_data_dir(config)).status == "ok"
    assert not config.data_dir.exists()
    file = tmp_path / "file"
    file.write_text("")
    assert only(doctor.check_data_dir(Config(data_dir=file))).status == "fail"


def test_a_key_file_that_others_can_read_fails(tmp_path):
    config = Config(data_dir=tmp_path)
    keysfile.find_or_create(config, os.urandom)
    assert statuses(doctor.check_data_dir(config))["first key"] == "ok"
    config.keys_path.chmod(0o644)
    assert statuses(doctor.check_data_dir(config))["first key"] == "fail"


@pytest.mark.parametrize(
    ("config", "addresses", "noted"),
    [
        (Config(), ("192.168.1.7",), {"reach"}),
        (Config(http=HttpConfig(host="0.0.0.0")), ("192.168.1.7",), {"reach", "browsers"}),
        (Config(http=HttpConfig(host="0.0.0.0", public_url="https://x")), ("192.168.1.7",), {"reach"}),
        (Config(http=HttpConfig(host="0.0.0.0", public_url="https://x")), ("192.168.1.7", "8.8.8.8"), set()),
        (Config(rtc=RtcConfig(announce_ips=("8.8.8.8",))), (), set()),
    ],
)
def test_addresses_that_people_cannot_reach_are_noted(config, addresses, noted, monkeypatch):
    monkeypatch.setattr("sfu.io.addresses.local_addresses", lambda *, loopback: addresses)
    findings = list(doctor.check_addresses(config))
    assert {finding.subject for finding in findings if finding.status == "note"} == noted
    assert all(finding.advice for finding in findings if finding.status == "note")


@pytest.mark.parametrize(("days", "status"), [(30, "ok"), (5, "note"), (-1, "fail")])
def test_a_certificate_is_looked_at_before_it_expires(tmp_path, days, status):
    cert, key = write_certificate(tmp_path, days=days)
    config = Config(http=HttpConfig(tls_cert=str(cert), tls_key=str(key)))
    assert only(doctor.check_tls(config)).status == status
    assert doctor.certificate_days_left(cert, time.time()) == pytest.approx(days, abs=0.01)


def test_a_certificate_that_cannot_serve_fails(tmp_path):
    config = Config(http=HttpConfig(tls_cert=str(tmp_path / "absent.pem"), tls_key=str(tmp_path / "key.pem")))
    assert only(doctor.check_tls(config)).status == "fail"
    assert list(doctor.check_tls(Config())) == []


def test_a_clock_that_cannot_be_fails_and_an_unsynchronised_one_is_noted(monkeypatch):
    monkeypatch.setattr(doctor, "_is_clock_unsynchronized", lambda: False)
    assert only(doctor.check_clock(Config())).status == "ok"
    monkeypatch.setattr(doctor, "_is_clock_unsynchronized", lambda: True)
    assert only(doctor.check_clock(Config())).status == "note"
    monkeypatch.setattr(doctor, "EARLIEST", doctor.datetime(9000, 1, 1, tzinfo=doctor.UTC))
    assert only(doctor.check_clock(Config())).status == "fail"


def test_few_open_files_are_noted(monkeypatch):
    monkeypatch.setattr(doctor.resource, "getrlimit", lambda which: (1024, 1024))
    assert statuses(doctor.check_limits(Config()))["open files"] == "note"
    monkeypatch.setattr(doctor.resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert statuses(doctor.check_limits(Config()))["open files"] == "ok"

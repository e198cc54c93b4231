import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.s3 import moto_server
from tidegate.config.egress import ComposeConfig, RecordingConfig, StorageConfig, WebhookConfig, WorkersConfig
from tidegate.config.model import Config, HttpConfig, OutgoingConfig
from tidegate.doctor import egress


def only(findings):
    (finding,) = findings
    assert (finding.status == "ok") == (finding.advice == ""), "advice goes with what is not well"
    return finding


# Codecs


def probe_answers(monkeypatch, text):
    monkeypatch.setattr(egress.subprocess, "run", lambda *args, **kwargs: subprocess.CompletedProcess(args, 0, text, ""))


def test_codecs_that_are_missing_are_named(monkeypatch):
    probe_answers(monkeypatch, json.dumps(["18.1", {"w:libx264": True, "w:libopus": False, "r:vp8": False}]))
    finding = only(egress.check_codecs(Config()))
    assert finding.status == "note"
    assert "encoder libopus" in finding.words and "decoder vp8" in finding.words and "libx264" not in finding.words
    probe_answers(monkeypatch, "")
    assert only(egress.check_codecs(Config())).status == "fail"


def test_the_configured_encoder_is_asked_for(monkeypatch):
    asked = []

    def run(command, **_):
        asked.extend(command[3:])
        return subprocess.CompletedProcess(command, 0, json.dumps(["18.1", {}]), "")

    monkeypatch.setattr(egress.subprocess, "run", run)
    list(egress.check_codecs(Config(compose=ComposeConfig(encoder="h264_nvenc"))))
    assert {"w:h264_nvenc", "w:libvpx", "r:libdav1d"} <= set(asked)


@pytest.mark.slow
def test_this_installation_has_its_codecs():
    assert only(egress.check_codecs(Config())).status == "ok"


# Disk


@pytest.mark.parametrize(("free", "status", "word"), [(499e6, "note", "min_free_mb"), (1.5e9, "note", "hours"), (9e9, "ok", "")])
def test_little_disk_is_noted_with_what_it_means(tmp_path, monkeypatch, free, status, word):
    monkeypatch.setattr(egress, "free_bytes", lambda folder: free)
    finding = only(egress.check_disk(Config(data_dir=tmp_path / "a" / "b", recording=RecordingConfig(min_free_mb=500))))
    assert finding.status == status and word in finding.advice


def test_the_fuller_one_of_two_disks_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(egress, "free_bytes", lambda folder: 100e6 if folder.name == "elsewhere" else 1e12)
    finding = only(egress.check_disk(Config(data_dir=tmp_path, storage=StorageConfig(url=f"file://{tmp_path}/elsewhere"))))
    assert finding.status == "note" and "elsewhere" in finding.words


# A worker


@pytest.mark.slow
def test_a_real_worker_records_with_the_configured_encoder():
    # With a budget of its own, so that this machine's cores do not decide.
    finding = only(egress.check_workers(Config(workers=WorkersConfig(cpu_budget=8))))
    assert finding.status == "ok", finding
    assert "libx264" in finding.words and "compositions" in finding.words


@pytest.mark.slow
def test_an_encoder_that_this_machine_cannot_use_is_noted_in_the_workers_words():
    finding = only(egress.check_workers(Config(compose=ComposeConfig(encoder="h264_nvenc"))))
    assert finding.status == "note" and "h264_nvenc" in finding.words


@pytest.mark.slow
def test_a_preset_that_x264_does_not_know_is_noted():
    assert only(egress.check_workers(Config(compose=ComposeConfig(preset="superflat")))).status == "note"


@pytest.mark.slow
def test_a_worker_that_dies_is_noted(monkeypatch):
    command = (sys.executable, "-c", "raise SystemExit(3)")
    monkeypatch.setattr(egress.Supervisor.__init__, "__kwdefaults__", {"cores": None, "command": command})
    finding = only(egress.check_workers(Config()))
    assert finding.status == "note" and "exit code 3" in finding.words


def test_what_is_switched_off_is_not_tried(monkeypatch):
    monkeypatch.setattr(egress, "_record", lambda config: pytest.fail("a worker was started"))
    assert "switched off" in only(egress.check_workers(Config(workers=WorkersConfig(max_pipelines=0)))).words


async def _works(config):
    return ""


def test_a_small_machine_is_told_what_it_can_carry(monkeypatch):
    monkeypatch.setattr(egress, "_record", _works)
    small = only(egress.check_workers(Config(workers=WorkersConfig(cpu_budget=0.2))))
    assert small.status == "note" and "alone" in small.advice
    assert only(egress.check_workers(Config(workers=WorkersConfig(cpu_budget=4)))).status == "ok"


# Storage


@pytest.mark.slow
def test_a_bucket_is_tried_with_a_file_that_goes_again(tmp_path):
    with moto_server() as s3:
        finding = only(egress.check_storage(Config(data_dir=tmp_path, storage=s3.config())))
        assert finding.status == "ok", finding
        left = subprocess.run(["curl", "-s", f"{s3.endpoint}/meetings"], capture_output=True, text=True, check=True).stdout
        assert "tidegate-doctor" not in left and "ListBucketResult" in left
        absent = only(egress.check_storage(Config(data_dir=tmp_path, storage=s3.config(url="s3://absent"))))
    assert absent.status == "note" and "no such bucket" in absent.words


@pytest.mark.slow
def test_a_store_that_cannot_be_reached_is_noted_without_its_secret(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        storage = StorageConfig("s3://bucket", endpoint, access_key_id="key", secret_access_key="never-shown", allow_http=True)
        finding = only(egress.check_storage(Config(data_dir=tmp_path, storage=storage)))
    assert finding.status == "note" and "cannot be reached" in finding.words
    assert "never-shown" not in finding.words + finding.advice


@pytest.mark.parametrize("url", ["s3://", "file://elsewhere/x"])
def test_an_address_with_which_the_server_does_not_start_fails(tmp_path, url):
    finding = only(egress.check_storage(Config(data_dir=tmp_path, storage=StorageConfig(url=url))))
    assert finding.status == "fail" and "storage.url" in finding.words


def test_a_store_by_plain_http_fails_until_that_is_allowed(tmp_path):
    storage = StorageConfig("s3://bucket", "http://127.0.0.1:9", access_key_id="key", secret_access_key="secret")
    finding = only(egress.check_storage(Config(data_dir=tmp_path, storage=storage)))
    assert finding.status == "fail" and "allow_http" in finding.words


def test_a_folder_has_to_be_writable(tmp_path):
    assert only(egress.check_storage(Config(data_dir=tmp_path / "new"))).status == "ok"
    file = tmp_path / "file"
    file.write_text("")
    assert only(egress.check_storage(Config(storage=StorageConfig(url=f"file://{file}/below")))).status == "note"
    assert not (tmp_path / "new").exists(), "nothing is made by looking"


# What the outside is told


@pytest.mark.parametrize(
    ("http", "webhook", "status"),
    [
        (HttpConfig(), "", None),
        (HttpConfig(), "https://app.example.org/hook", "note"),
        (HttpConfig(host="0.0.0.0"), "", "note"),
        (HttpConfig(host="0.0.0.0", public_url="https://meet.example.org"), "https://app.example.org/hook", "ok"),
    ],
)
def test_links_need_an_address_that_others_reach(http, webhook, status):
    findings = list(egress.check_links(Config(http=http, webhooks=WebhookConfig(url=webhook))))
    assert [finding.status for finding in findings] == ([status] if status else [])
    assert all("--public-url" in finding.advice for finding in findings if finding.status == "note")
    assert all("meet.example.org" in finding.words for finding in findings if finding.status == "ok")


@pytest.mark.parametrize(
    ("url", "allow", "status"),
    [
        ("https://93.184.215.14/hook", (), "ok"),
        ("http://93.184.215.14/hook", (), "note"),
        ("https://10.1.2.3/hook", (), "note"),
        ("http://10.1.2.3:8080/hook", ("10.0.0.0/8",), "ok"),
        ("https:///hook", (), "note"),
        ("https://no-such-name.invalid/hook", (), "note"),
    ],
)
def test_the_accounts_webhook_passes_the_guard_or_is_noted(url, allow, status):
    config = Config(webhooks=WebhookConfig(url=url), outgoing=OutgoingConfig(allow=allow))
    assert only(egress.check_webhooks(config)).status == status


def test_without_an_accounts_webhook_nothing_is_said():
    assert list(egress.check_webhooks(Config())) == []


def test_looking_loads_no_codec_into_this_process():
    code = "import sys, tidegate.doctor; sys.exit(bool({'av', 'numpy', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, cwd=Path(__file__).parents[3]).returncode == 0

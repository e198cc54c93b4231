"""The commands as a person types them, in a process where start and exit code matter, else in this one."""

import json
import logging
import os
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import jwt
import pytest

from tidegate import cli, keysfile
from tidegate.cli.events import ServerSentEvent, as_line, local_url, parse_events
from tidegate.config.model import Config

ROOT = Path(__file__).parents[2]
SECRET = "s" * 40


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No configuration of the machine's, a folder of our own, and logging and umask as they were."""
    for name in [name for name in os.environ if name.startswith("TIDEGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    level, handlers, umask = root.level, root.handlers[:], os.umask(0o022)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    os.umask(umask)


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs `tidegate ...` in this process: (exit code, standard output, standard error)."""

    def run(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tidegate", *args])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        return caught.value.code or 0, out, err

    return run


@pytest.fixture
def served(monkeypatch):
    """Replaces the application; the configurations that `serve` started it with."""
    configs: list[Config] = []
    fake = types.ModuleType("tidegate.app")
    fake.run = lambda config, loader: configs.append(config) or int(loader() != config)
    monkeypatch.setitem(sys.modules, "tidegate.app", fake)
    monkeypatch.setattr("tidegate.app", fake, raising=False)
    return configs


def test_help_names_every_command_and_where_to_start(run):
    code, out, _ = run("--help")
    assert code == 0
    for word in ("serve", "token", "keys", "doctor", "events", "config", "openapi", "Start with: tidegate serve"):
        assert word in out


@pytest.mark.parametrize("command", ["serve", "token", "keys", "doctor", "events", "config", "openapi"])
def test_every_command_explains_itself(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0 and f"tidegate {command}" in out


def test_serve_starts_with_the_defaults(run, served):
    assert run("serve") == (0, "", "")
    assert served == [Config()]


def test_serve_takes_every_option(run, served):
    args = "--data-dir d --host ::1 --http-port 1 --rtc-port 2 --rtmp-port 3 --announce-ip 192.0.2.1 --announce-ip 192.0.2.2 "
    args += "--public-url https://x.example --trusted-proxy 10.0.0.0/8 --tls-cert c --tls-key k --drain-timeout 2 --dev "
    args += "--log-format json --log-level error"
    assert run("serve", *args.split())[0] == 0
    (config,) = served
    assert config.data_dir == Path("d")
    assert (config.http.host, config.http.port, config.rtc.port, config.rtmp.port) == ("::1", 1, 2, 3)
    assert config.rtc.announce_ips == ("192.0.2.1", "192.0.2.2")
    assert config.http.public_url == "https://x.example" and config.http.trusted_proxies == ("10.0.0.0/8",)
    assert (config.http.tls_cert, config.http.tls_key) == ("c", "k")
    assert config.drain_timeout == 2.0 and config.dev
    assert (config.log.format, config.log.level) == ("json", "error")


def test_flags_go_before_variables_before_the_file(run, served, monkeypatch, tmp_path):
    file = tmp_path / "t.toml"
    file.write_text("[http]\nport = 1\n[rtc]\nport = 1\n[rtmp]\nport = 11\n")
    monkeypatch.setenv("TIDEGATE_HTTP_PORT", "2")
    monkeypatch.setenv("TIDEGATE_RTC_PORT", "2")
    assert run("serve", "--config", str(file), "--http-port", "3")[0] == 0
    assert (served[0].http.port, served[0].rtc.port, served[0].rtmp.port) == (3, 2, 11)


def test_binding_further_without_tls_says_what_browsers_will_do(run, served):
    code, _, err = run("serve", "--host", "0.0.0.0")
    assert code == 0
    assert "refuse camera and microphone" in err and "--tls-cert" in err and "--public-url" in err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["serve", "--http-port", "70000"], "http.port: 70000 is above 65535"),
        (["serve", "--http-port", "x"], "--http-port"),
        (["serve", "--htpp-port", "1"], "No such option: --htpp-port"),
        (["serve", "--announce-ip", "nowhere"], "rtc.announce_ips"),
        (["serve", "--announce-ip", "auto"], "rtc.stun_server"),
        (["serve", "--tls-cert", "c"], "http.tls_key"),
        (["serve", "--log-format", "yaml"], "log.format: 'yaml' is not one of text, json"),
        (["serve", "--config", "absent.toml"], "absent.toml: cannot be read"),
        (["serve", "--api-secret", "x"], "No such option"),
        (["sevre"], "serve"),
        (["token"], "tidegate serve"),
        (["token", "--expires", "soon"], "--expires"),
        (["token", "--permissions", "ask_join,allow_join"], "ask_join stands alone"),
        (["token", "--permissions", "fly"], "'fly' is not one of"),
        (["token", "--permissions", ""], "--permissions"),
        (["token", "--roles", "king"], "--roles"),
        (["token", "--grants", "[]"], "--grants"),
        (["token", "--grants", "{"], "--grants"),
        (["token", "--grants", '{"fly": true}'], "grants.fly"),
        (["token", "--grants", '{"publish": ["hand"]}'], "publish"),
        (["keys", "create", "--origin", "example.org"], "--origin"),
        (["keys", "disable", "nokey"], "there is no key 'nokey'"),
        (["keys", "rotate", "nokey"], "there is no key 'nokey'"),
        (["events", "--after", "soon"], "--after"),
        (["events"], "TIDEGATE_TOKEN"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run, served, monkeypatch, args, words):
    if args[0] == "token" and len(args) > 1:
        monkeypatch.setenv("TIDEGATE_API_KEY", "key")
        monkeypatch.setenv("TIDEGATE_API_SECRET", SECRET)
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert words in err and err.startswith("tidegate: ") and err.count("\n") == 1
    assert served == []


def test_a_misspelt_key_of_the_file_is_named_with_the_nearest(run, served):
    Path("t.toml").write_text("[http]\nprot = 1\n")
    code, _, err = run("serve", "--config", "t.toml")
    assert code == 2 and "http.prot: unknown key; did you mean http.port?" in err


def token_claims(run, *args: str) -> dict:
    code, out, err = run("token", *args)
    assert code == 0, err
    return jwt.decode(out.strip(), SECRET, algorithms=["HS256"])


@pytest.fixture
def configured_key(monkeypatch):
    monkeypatch.setenv("TIDEGATE_API_KEY", "key")
    monkeypatch.setenv("TIDEGATE_API_SECRET", SECRET)


def test_a_token_has_the_claims_of_the_api(run, configured_key):
    claims = token_claims(run)
    assert claims["exp"] - claims["iat"] == 7200
    del claims["iat"], claims["exp"]
    assert claims == {"apikey": "key", "permissions": ["allow_join", "allow_mod"], "version": 2}


def test_a_token_can_be_limited(run, configured_key):
    grants = '{"publish": ["mic"]}'
    claims = token_claims(
        run, *"--room r --participant p --permissions ask_join --roles rtc --expires 15m --grants".split(), grants
    )
    assert claims["exp"] - claims["iat"] == 900
    assert (claims["roomId"], claims["participantId"]) == ("r", "p")
    assert (claims["permissions"], claims["roles"], claims["grants"]) == (["ask_join"], ["rtc"], {"publish": ["mic"]})


def test_a_token_is_signed_with_the_key_of_the_data_directory(run):
    credentials = keysfile.find_or_create(Config(data_dir=Path("d")), os.urandom)
    code, out, _ = run("token", "--data-dir", "d")
    assert code == 0
    assert jwt.decode(out.strip(), credentials.secret, algorithms=["HS256"])["apikey"] == credentials.api_key


def key_lines(run) -> dict[str, str]:
    code, out, _ = run("keys", "list")
    assert code == 0
    return {line.split()[0]: line for line in out.splitlines()}


def test_keys_are_created_listed_disabled_enabled_and_rotated(run):
    code, out, _ = run("keys", "create", "--origin", "https://App.example.org/")
    assert code == 0
    words = out.split()
    key, secret = words[2], words[4]
    first = keysfile.find(Config())
    lines = key_lines(run)
    assert set(lines) == {key, first.api_key}
    assert "enabled" in lines[key] and "https://app.example.org" in lines[key]
    assert secret not in str(lines) and first.secret not in str(lines)

    assert run("keys", "disable", key)[0] == 0
    assert "disabled" in key_lines(run)[key]
    assert run("keys", "enable", key)[0] == 0
    assert "enabled" in key_lines(run)[key]

    code, out, _ = run("keys", "rotate", key)
    assert code == 0 and key in out and secret not in out


def test_rotating_the_first_key_changes_its_file_too(run):
    run("keys", "list")
    before = keysfile.find(Config())
    code, out, _ = run("keys", "rotate", before.api_key)
    after = keysfile.find(Config())
    assert code == 0
    assert after.api_key == before.api_key and after.secret != before.secret and after.secret in out
    assert list(key_lines(run)) == [before.api_key]


def test_the_configured_key_is_not_rotated_behind_its_back(run, configured_key):
    code, _, err = run("keys", "rotate", "key")
    assert code == 2 and "auth.api_secret" in err


def test_the_store_is_readable_by_its_owner_only(run):
    Path("open").mkdir(mode=0o755)
    assert run("keys", "list", "--data-dir", "open")[0] == 0
    for path in Path("open").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_config_prints_what_is_in_effect_without_secrets(run, configured_key, monkeypatch):
    monkeypatch.setenv("TIDEGATE_HTTP_PORT", "81")
    code, out, _ = run("config")
    assert code == 0 and SECRET not in out
    assert tomllib.loads(out)["http"]["port"] == 81


def test_config_default_prints_the_documented_file(run):
    code, out, _ = run("config", "--default")
    assert code == 0 and out == (ROOT / "config" / "tidegate.toml").read_text()


def test_doctor_fails_with_the_findings_that_matter(run, monkeypatch):
    from tidegate import doctor

    ok, note = doctor.Finding("ok", "disk", "much"), doctor.Finding("note", "clock", "off", "set it")
    monkeypatch.setattr(doctor, "examine", lambda config: iter([ok, note]))
    code, out, _ = run("doctor")
    assert code == 0 and "clock: off" in out and "-> set it" in out
    monkeypatch.setattr(doctor, "examine", lambda config: iter([ok, doctor.Finding("fail", "HTTP port", "taken", "give another")]))
    code, out, _ = run("doctor", "--http-port", "1")
    assert code == 1 and "FAIL  HTTP port: taken" in out


def test_events_are_parsed_as_the_standard_says():
    lines = ": comment\n\nid: 7\nevent: room-ended\ndata: {\"a\":\ndata: 1}\n\ndata:x\r\n\r\nevent: cut\ndata: lost".splitlines(True)
    assert list(parse_events(lines)) == [
        ServerSentEvent("room-ended", '{"a":\n1}', "7"),
        ServerSentEvent("message", "x", "7"),
    ]


def test_an_event_is_one_line_of_json():
    assert json.loads(as_line(ServerSentEvent("e", '{"a":\n1}', "7"))) == {"id": "7", "event": "e", "data": {"a": 1}}
    assert json.loads(as_line(ServerSentEvent("e", "plain\nwords", ""))) == {"event": "e", "data": "plain\nwords"}


@pytest.mark.parametrize(
    ("host", "tls", "url"),
    [
        ("127.0.0.1", False, "http://127.0.0.1:8080"),
        ("0.0.0.0", False, "http://127.0.0.1:8080"),
        ("::", True, "https://[::1]:8080"),
        ("::1", False, "http://[::1]:8080"),
    ],
)
def test_the_local_server_is_found_by_its_configuration(host, tls, url):
    assert local_url(host, 8080, tls=tls) == url


def test_a_process_of_its_own_answers_with_its_exit_code(tmp_path):
    def start(*args: str) -> subprocess.CompletedProcess:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        return subprocess.run([sys.executable, "-m", "tidegate", *args], cwd=tmp_path, env=env, capture_output=True, text=True)

    wrong = start("serve", "--http-port", "99999")
    assert (wrong.returncode, wrong.stdout, wrong.stderr) == (2, "", "tidegate: http.port: 99999 is above 65535\n")
    assert start("--help").returncode == 0


def test_help_and_token_load_no_server(tmp_path):
    """What makes every command slow when somebody imports it at the top."""
    code = "import sys, tidegate.cli; print([m for m in sys.modules if m.split('.')[0] in %r])"
    heavy = {"aiohttp", "aiortc", "av", "numpy", "sqlalchemy", "alembic", "OpenSSL", "pylibsrtp", "uvloop"}
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code % heavy], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert run.stdout == "[]\n", run.stderr

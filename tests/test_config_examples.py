"""The examples in config/ speak of options, settings and metrics that exist."""

import asyncio
import json
import re
import shutil
import socket
import tomllib
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientTimeout, TCPConnector, web
from aiohttp.test_utils import TestServer

from tests.support.certificates import write_certificate
from tests.support.node import running_node
from tidegate.config.load import load
from tidegate.config.schema import SETTINGS

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config"
METRIC = re.compile(r"\b((?:tidegate|process)_\w+)(?:\{(.*?)\})?")
OF_THE_SCRAPE = {"job", "le"}  # labels that Prometheus or the exposition adds


@pytest.fixture
async def metrics(tmp_path) -> dict[str, set[str]]:
    """The labels of every metric of a real node, by the names that a query uses."""
    async with running_node(tmp_path) as running:
        families = list(running.node.metrics._registry.collect())
    found = {}
    for family in families:
        labels = set(family._labelnames) if hasattr(family, "_labelnames") else set()
        for suffix in {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",)):
            found[family.name + suffix] = labels
    return found


def check_expression(expression: str, metrics: dict[str, set[str]]) -> None:
    used = METRIC.findall(expression)
    assert used or expression.startswith("up{"), expression
    known = set(OF_THE_SCRAPE)
    for name, filters in used:
        assert name in metrics, f"{name}: {expression}"
        known |= metrics[name]
        assert set(re.findall(r"(\w+) ?[=!]~?", filters)) <= metrics[name] | OF_THE_SCRAPE, expression
    for group in re.findall(r"by \(([\w, ]+)\)", expression):
        assert set(group.split(", ")) <= known, expression


def kept_labels(expression: str, metrics: dict[str, set[str]]) -> set[str]:
    """What a result can be told apart by."""
    groups = re.findall(r"by \(([\w, ]+)\)", expression)
    if groups:
        return set(groups[0].split(", "))
    return set().union(*(metrics[name] for name, _ in METRIC.findall(expression) if name in metrics))


async def test_the_dashboard_shows_metrics_that_there_are(metrics):
    panels = json.loads((CONFIG / "grafana" / "tidegate.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels), "one lies upon another"
    for panel in panels:
        for target in panel["targets"]:
            check_expression(target["expr"], metrics)
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert label in kept_labels(target["expr"], metrics), panel["title"]
    # The dashboard is what an operator looks at first: it leaves out only what stands in another panel in other words.
    shown = {name for panel in panels for target in panel["targets"] for name, _ in METRIC.findall(target["expr"])}
    egress = {name for name in metrics if re.match(r"tidegate_(recordings|broadcast|pipeline|webhook|disk|encoder|composed_frames_d)", name)}
    assert egress - shown <= {"tidegate_pipeline_starts_total"}


async def test_alerts_watch_metrics_that_there_are(metrics):
    text = (CONFIG / "prometheus" / "alerts.yml").read_text()
    alerts = re.findall(r"- alert: (\w+)\n((?:        .*\n)+)", text + "\n")
    assert len(alerts) == text.count("alert:") > 15 and len({name for name, _ in alerts}) == len(alerts)
    for name, body in alerts:
        (expression,) = re.findall(r"expr: (.*)", body)
        check_expression(expression, metrics)
        assert re.search(r"labels: \{severity: (page|look)\}", body) and "summary: " in body, name
        # What a summary tells of has to be left after the aggregation.
        for label in re.findall(r"\$labels\.(\w+)", body):
            assert label in kept_labels(expression, metrics), name


@pytest.mark.parametrize("name", ["nginx/tidegate.conf", "systemd/tidegate.service", "prometheus/tidegate.yml", "README.md"])
def test_examples_use_options_that_there_are(name):
    from tidegate.cli import configuration, serve, token

    sources = "".join(Path(module.__file__).read_text() for module in (serve, token, configuration))
    parameters = set(re.findall(r"^    (\w+): ", sources, re.MULTILINE))
    for command in re.findall(r"tidegate (?:serve|token|config) [^`\n<]*", (CONFIG / name).read_text()):
        for flag in re.findall(r"--([\w-]+)", command):
            assert flag.replace("-", "_") in parameters, command


@pytest.mark.parametrize("name", ["coturn/turnserver.conf", "systemd/tidegate.service"])
def test_examples_use_variables_that_there_are(name):
    known = {variable for setting in SETTINGS.values() for variable in setting.env_names}
    assert set(re.findall(r"TIDEGATE_[A-Z0-9_]+", (CONFIG / name).read_text())) <= known


def test_systemd_gives_recordings_the_time_that_the_node_does():
    from tidegate.config.model import Config
    from tidegate.registry import STORING
    from tidegate.workers.handle import TERM_TIMEOUT

    unit = dict(line.split("=", 1) for line in (CONFIG / "systemd" / "tidegate.service").read_text().splitlines() if re.match(r"\w+=", line))
    config = Config()
    # Tells people, waits for workers and storage; then ends what was begun anew for workers that died meanwhile.
    longest = config.drain_timeout + config.workers.stop_timeout + STORING + config.workers.stop_timeout + TERM_TIMEOUT
    assert float(unit["TimeoutStopSec"]) > longest
    assert (unit["KillMode"], unit["OOMPolicy"]) == ("mixed", "continue")


def test_the_turn_example_is_a_configuration(tmp_path):
    text = (CONFIG / "coturn" / "turnserver.conf").read_text()
    lines = re.findall(r"^#     (.*)$", text, re.MULTILINE)
    file = tmp_path / "tidegate.toml"
    file.write_text("\n".join(lines))
    assert tomllib.loads(file.read_text())["rtc"]
    assert load(file=file).rtc.ice_servers[0].startswith("turns:")


# nginx, before a server that answers as Tidegate does


@pytest.fixture
async def behind_nginx(tmp_path):
    """The address of nginx with the example's configuration, but for ports, certificate and folders; and its log."""
    tmp_path.chmod(0o755)

    async def events(request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await asyncio.Event().wait()

    async def file(request):
        return web.FileResponse(recording, headers={"Content-Type": "video/mp4"})

    async def who(request):
        return web.json_response(dict(request.headers))

    recording = tmp_path / "recording.mp4"
    recording.write_bytes(bytes(range(256)) * 4096)
    app = web.Application()
    app.add_routes([web.get("/v2/events", events), web.get("/v2/recordings/files/1/a.mp4", file), web.get("/who", who)])
    certificate, key = write_certificate(tmp_path)
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        plain, port = one.getsockname()[1], two.getsockname()[1]
    async with TestServer(app) as server:
        text = (CONFIG / "nginx" / "tidegate.conf").read_text()
        for old, new in (
            ("127.0.0.1:8080", f"127.0.0.1:{server.port}"),
            ("listen 80;", f"listen 127.0.0.1:{plain};"),
            ("listen 443 ", f"listen 127.0.0.1:{port} "),
            ("/etc/letsencrypt/live/meet.example.org/fullchain.pem", str(certificate)),
            ("/etc/letsencrypt/live/meet.example.org/privkey.pem", str(key)),
            ("/var/log/nginx/", f"{tmp_path}/"),
        ):
            assert old in text
            text = text.replace(old, new)
        text = re.sub(r"listen \[::\].*", "", text)
        configuration = tmp_path / "nginx.conf"
        configuration.write_text(
            f"daemon off;\nmaster_process off;\npid {tmp_path}/pid;\nevents {{ }}\nhttp {{\n"
            f"access_log {tmp_path}/access.log;\n{text}\n}}\n"
        )
        log = tmp_path / "error.log"
        command = [shutil.which("nginx") or "/usr/sbin/nginx", "-e", str(log), "-p", str(tmp_path), "-c", str(configuration)]
        process = await asyncio.create_subprocess_exec(*command)
        try:
            async with asyncio.timeout(30):
                while True:
                    try:
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                        writer.close()
                        break
                    except OSError:
                        assert process.returncode is None, log.read_text()
                        await asyncio.sleep(0.02)
            yield f"https://127.0.0.1:{port}", tmp_path / "tidegate.log"
        finally:
            process.kill()
            await process.wait()


@pytest.mark.slow
async def test_nginx_passes_events_at_once_and_recordings_in_ranges(behind_nginx):
    address, log = behind_nginx
    async with ClientSession(connector=TCPConnector(ssl=False), timeout=ClientTimeout(30)) as session:
        async with session.get(f"{address}/v2/events") as stream:
            assert await stream.content.readline() == b"data: 1\n"  # while the answer goes on
        link = f"{address}/v2/recordings/files/1/a.mp4?expires=1&signature=very-secret"
        headers = {"Range": "bytes=1000-1999", "Accept-Encoding": "gzip"}
        async with session.get(link, headers=headers) as part:
            assert (part.status, part.headers["Content-Range"]) == (206, f"bytes 1000-1999/{256 * 4096}")
            assert await part.read() == (bytes(range(256)) * 4096)[1000:2000]
        async with session.get(f"{address}/who", headers={"X-Forwarded-For": "8.8.8.8"}) as answer:
            seen = await answer.json()
        async with session.get(f"{address}/metrics") as hidden:
            assert hidden.status == 404
    assert (seen["X-Forwarded-For"], seen["X-Forwarded-Proto"]) == ("127.0.0.1", "https")
    line = log.read_text()
    assert "/v2/recordings/files/1/a.mp4" in line and "very-secret" not in line

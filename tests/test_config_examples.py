"""The examples in config/ speak of options, settings and metrics that exist."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from tidegate.config.load import load
from tidegate.config.schema import SETTINGS

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config"
MADE_BY_THE_CLIENT_LIBRARY = {"process_cpu_seconds", "process_resident_memory_bytes"}


def metric_names() -> set[str]:
    return set(re.findall(r'"(tidegate_\w+)"', (ROOT / "tidegate" / "observe.py").read_text())) | MADE_BY_THE_CLIENT_LIBRARY


def used_metrics(text: str) -> set[str]:
    found = re.findall(r"\b(?:tidegate|process)_\w+", text)
    return {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in found}


def test_the_dashboard_shows_metrics_that_there_are():
    dashboard = json.loads((CONFIG / "grafana" / "tidegate.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert used_metrics("\n".join(expressions)) <= metric_names()
    assert len(expressions) > 10
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_alerts_watch_metrics_that_there_are():
    text = (CONFIG / "prometheus" / "alerts.yml").read_text()
    assert used_metrics("\n".join(re.findall(r"expr: (.*)", text))) <= metric_names()


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
    assert set(re.findall(r"TIDEGATE_[A-Z_]+", (CONFIG / name).read_text())) <= known


def test_the_turn_example_is_a_configuration(tmp_path):
    text = (CONFIG / "coturn" / "turnserver.conf").read_text()
    lines = re.findall(r"^#     (.*)$", text, re.MULTILINE)
    file = tmp_path / "tidegate.toml"
    file.write_text("\n".join(lines))
    assert tomllib.loads(file.read_text())["rtc"]
    assert load(file=file).rtc.ice_servers[0].startswith("turns:")

"""A wheel built from the tree and installed elsewhere serves the page, the SDK and the API: nothing was left out of it."""

from __future__ import annotations

import json
import os
import re
import signal
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.support.serving import start_server

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The folder of programs of an environment with the wheel in it, and the dependencies of this one by a .pth file."""
    place = tmp_path_factory.mktemp("elsewhere") / "venv"
    venv.EnvBuilder(with_pip=True).create(place)
    python = place / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", wheel]
    done = subprocess.run(pip, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (packages,) = place.glob("lib/python*/site-packages")
    # A plain path line: .pth files of the other folder (an editable install of the tree) are not followed.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return place / "bin"


def test_only_our_packages_land_in_site_packages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
        names = archive.namelist()
    assert {top for top in tops if not top.endswith(".dist-info")} == {"media", "sfu", "rtmp", "hls", "tidegate"}
    assert "tidegate/_web/sdk/tidegate.js" in names
    assert any(re.match(r"tidegate/store/migrations/versions/\w+\.py", name) for name in names)
    assert not [name for name in names if "__pycache__" in name or "node_modules" in name]


def test_the_installed_server_serves_page_sdk_and_api(installed, tmp_path):
    env = {"PATH": os.environ["PATH"]}
    origin = subprocess.run(
        [installed / "python", "-c", "import tidegate; print(tidegate.__file__)"],
        cwd=tmp_path, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert str(installed.parent) in origin.stdout
    with start_server([installed / "tidegate", "serve"], tmp_path, env=env) as server:

        def get(path: str, **headers: str) -> tuple[str, str]:
            with urlopen(Request(server.url + path, headers=headers), timeout=10) as answer:
                return answer.headers.get_content_type(), answer.read().decode()

        kind, page = get("/")
        assert kind == "text/html" and "<html" in page
        for path in re.findall(r"""(?:src|href)=["'](/[^"'#?]+)""", page):
            assert get(path)[1], path
        kind, sdk = get("/sdk/tidegate.js")
        assert "javascript" in kind and "VideoSDK" in sdk
        assert json.loads(get("/openapi.json")[1])["openapi"].startswith("3.")
        token = subprocess.run([installed / "tidegate", "token"], cwd=tmp_path, env=env, capture_output=True, text=True)
        listed = json.loads(get("/v2/rooms", Authorization=token.stdout.strip())[1])
        assert listed["data"] == [] and listed["pageInfo"]["total"] == 0
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
    document = subprocess.run([installed / "tidegate", "openapi"], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert "/v2/rooms" in json.loads(document.stdout)["paths"], document.stderr

"""nginx with its RTMP module: a server that is not ours, recording what is published, in a folder of its own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

MODULES = [
    Path(folder) / "ngx_rtmp_module.so"
    for folder in ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules")
]
PATIENCE = 30.0

CONFIGURATION = """
load_module {module};
daemon off;
master_process off;
pid {home}/nginx.pid;
error_log {home}/error.log info;
events {{ }}
rtmp {{
  access_log {home}/access.log;
  server {{
    listen 127.0.0.1:{port};
    application live {{
      live on;
      wait_key on;
      record all;
      record_path {home}/{recordings};
      {more}
    }}
  }}
}}
"""


class Nginx:
    """`start` and `kill` as often as wanted, always on the same port; each life records into a folder of its own."""

    def __init__(self, home: Path, *, more: str = "") -> None:
        home.chmod(0o755)
        self.home = home
        self.port = _free_port()
        self.lives = 0
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        module = next(path for path in MODULES if path.exists())
        self.lives += 1
        recordings = f"life{self.lives}"
        (self.home / recordings).mkdir()
        text = CONFIGURATION.format(
            module=module, home=self.home, port=self.port, recordings=recordings, more=self._more
        )
        configuration = self.home / "nginx.conf"
        configuration.write_text(text)
        program = shutil.which("nginx") or "/usr/sbin/nginx"  # not in everybody's PATH
        command = [program, "-e", str(self.home / "error.log"), "-p", str(self.home), "-c", str(configuration)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self._process.poll() is None and time.monotonic() < end, self.log()
                time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL, as of a machine that goes away."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        path = self.home / "error.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def recording(self, key: str, *, life: int = 1) -> Path:
        return self.home / f"life{life}" / f"{key}.flv"


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.contextmanager
def running_nginx(home: Path, *, more: str = "") -> Iterator[Nginx]:
    nginx = Nginx(home, more=more)
    nginx.start()
    try:
        yield nginx
    finally:
        nginx.kill()

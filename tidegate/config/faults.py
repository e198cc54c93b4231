"""What went wrong with the machine's means, said by the name of the setting that chose them."""

from __future__ import annotations

import errno

from media.errors import ConfigError


def port_fault(path: str, transport: str, host: str, port: int, error: OSError) -> ConfigError:
    """Why `transport` (TCP, UDP) on `host`:`port` could not be opened; `path` is the setting of the port (`http.port`)."""
    where = f"{transport} port {port} on {host}"
    if error.errno == errno.EADDRINUSE:
        return ConfigError(path, f"{where} is taken: end what has it, or give another --{path.replace('.', '-')}")
    if error.errno == errno.EACCES:
        return ConfigError(path, f"{where} needs more rights (ports below 1024): give another --{path.replace('.', '-')}")
    if error.errno == errno.EADDRNOTAVAIL:
        return ConfigError(f"{path.partition('.')[0]}.host", f"{host} is no address of this machine")
    return ConfigError(path, f"{where} cannot be opened: {error.strerror or error}")

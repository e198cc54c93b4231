"""Looks at a machine with the eyes of `tidegate serve`, and says what to do about what it finds.

Every check is one function from the configuration to findings; none leaves anything behind. `machine.py` looks at what every call
needs, `egress.py` at what recordings, broadcasts and webhooks need besides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tidegate.config.model import Config
from tidegate.doctor import egress, machine
from tidegate.doctor.findings import Finding

__all__ = ["Finding", "examine"]

CHECKS: tuple[Callable[[Config], Iterator[Finding]], ...] = (
    machine.check_python,
    machine.check_data_dir,
    machine.check_ports,
    machine.check_addresses,
    machine.check_tls,
    machine.check_clock,
    machine.check_limits,
    egress.check_codecs,
    egress.check_disk,
    egress.check_workers,
    egress.check_storage,
    egress.check_links,
    egress.check_webhooks,
)


def examine(config: Config) -> Iterator[Finding]:
    """Every check, in the order in which a start and then a recording would meet them."""
    for check in CHECKS:
        yield from check(config)

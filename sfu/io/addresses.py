"""Which addresses this machine has: what the candidates of a node are made of. Linux and BSD by `ifaddr` (comes with aioice)."""

from __future__ import annotations

import ipaddress

import ifaddr


def local_addresses(*, loopback: bool) -> tuple[str, ...]:
    """Every up interface's addresses, IPv4 before IPv6; link-local IPv6 is left out (browsers cannot use its scope).

    `loopback` adds 127.0.0.1 and ::1, first: two tabs on one machine should not go through its network card.
    """
    v4: list[str] = []
    v6: list[str] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            address = ipaddress.ip_address(text.split("%")[0])
            if address.is_link_local or (address.is_loopback and not loopback):
                continue
            (v4 if address.version == 4 else v6).append(str(address))
    found = sorted(v4, key=_loopback_first) + sorted(v6, key=_loopback_first)
    return tuple(dict.fromkeys(found))


def _loopback_first(text: str) -> bool:
    return not ipaddress.ip_address(text).is_loopback

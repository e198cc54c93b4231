"""Which of a machine's addresses become candidates."""

from __future__ import annotations

from types import SimpleNamespace

import ifaddr
import pytest

from sfu.io.addresses import local_addresses


def adapter(*ips: object) -> SimpleNamespace:
    return SimpleNamespace(ips=[SimpleNamespace(ip=ip) for ip in ips])


@pytest.fixture
def machine(monkeypatch):
    found = [
        adapter("127.0.0.1", ("::1", 0, 0)),
        adapter("192.0.2.7", ("2001:db8::7", 0, 0), ("fe80::1", 0, 2)),
        adapter("169.254.3.4", ("fe80::2%eth1", 0, 3), "192.0.2.7", "10.0.0.1"),
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: found)
    return found


def test_every_address_but_loopback_and_link_local_once_ipv4_first(machine):
    assert local_addresses(loopback=False) == ("192.0.2.7", "10.0.0.1", "2001:db8::7")


def test_loopback_comes_first_in_its_family_where_it_is_wanted(machine):
    machine.reverse()
    assert local_addresses(loopback=True) == ("127.0.0.1", "192.0.2.7", "10.0.0.1", "::1", "2001:db8::7")


def test_a_machine_without_network_has_none(monkeypatch):
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [adapter("127.0.0.1", ("::1", 0, 0))])
    assert local_addresses(loopback=False) == ()


def test_this_machine_has_loopback():
    assert "127.0.0.1" in local_addresses(loopback=True)
    assert "127.0.0.1" not in local_addresses(loopback=False)

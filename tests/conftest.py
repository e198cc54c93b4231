"""What holds for every test."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None)  # how long an example takes is the machine's business, not a failure
settings.load_profile("house")


# Calls between real browsers run in real time: a machine that somebody else keeps busy drops their frames. They may try again,
# and pytest's summary names who had to (`-rR`); what is wrong fails each time.
BROWSER_RERUNS = 2
SLOW_RERUNS = 1


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One browser test at a time: two calls on two cores would starve each other and fail for that."""
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.xdist_group("browser"))
            item.add_marker(pytest.mark.flaky(reruns=BROWSER_RERUNS, reruns_delay=1))
        elif item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.flaky(reruns=SLOW_RERUNS, reruns_delay=1))

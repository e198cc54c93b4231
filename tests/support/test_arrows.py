"""A failure inside an arrow begins with its name, whatever it is."""

from __future__ import annotations

import pytest

from tests.support.arrows import arrow


@pytest.mark.parametrize("error", [AssertionError("one of two"), TimeoutError(), KeyError("token")])
def test_a_failure_is_named_by_its_arrow(error):
    with pytest.raises(AssertionError, match=r"^A2 gets it: .+") as caught, arrow("A2 gets it"):
        raise error
    assert caught.value.__cause__ is error


def test_what_holds_passes():
    with arrow("A2 gets it"):
        pass

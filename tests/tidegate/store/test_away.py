"""Which errors of the database are worth another attempt."""

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tidegate.store.away import is_away

WORDS = Exception("words")


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("UPDATE", {}, WORDS),
        InterfaceError("UPDATE", {}, WORDS),
        DBAPIError("UPDATE", {}, WORDS, connection_invalidated=True),
        PoolTimeout(),
        ConnectionRefusedError(),
        TimeoutError(),
    ],
)
def test_a_database_that_is_away_comes_back(error):
    assert is_away(error)


@pytest.mark.parametrize(
    "error",
    [IntegrityError("INSERT", {}, WORDS), ProgrammingError("UPDAT", {}, WORDS), DBAPIError("?", {}, WORDS), ValueError()],
)
def test_what_is_wrong_stays_wrong(error):
    assert not is_away(error)

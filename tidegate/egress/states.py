"""The states of recordings, broadcasts and transcodings, and which may follow which. Rows change their state by `move` only."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import UsageError
from tidegate.store import Broadcast, Recording, Transcoding
from tidegate.store.ledger import Ledger
from tidegate.store.media_models import (
    CANCELLED,
    COMPLETED,
    FAILED,
    LIVE,
    PENDING,
    PROCESSING,
    RECORDING,
    STARTING,
    STOPPED,
    STOPPING,
)

Row = TypeVar("Row", Recording, Broadcast, Transcoding)
Table = dict[str, frozenset[str]]

RECORDINGS: Table = {
    STARTING: frozenset({RECORDING, STOPPING, PROCESSING}),
    RECORDING: frozenset({STOPPING, PROCESSING}),  # without "stopping": its worker ended by itself, or the node did
    STOPPING: frozenset({PROCESSING}),
    PROCESSING: frozenset({STOPPED, FAILED}),
    STOPPED: frozenset(),
    FAILED: frozenset(),
}
BROADCASTS: Table = {
    STARTING: frozenset({LIVE, STOPPING, STOPPED, FAILED}),
    LIVE: frozenset({STOPPING, STOPPED, FAILED}),
    STOPPING: frozenset({STOPPED, FAILED}),
    STOPPED: frozenset(),
    FAILED: frozenset(),
}
TRANSCODINGS: Table = {
    PENDING: frozenset({PROCESSING, FAILED, CANCELLED}),
    PROCESSING: frozenset({COMPLETED, FAILED, CANCELLED}),
    COMPLETED: frozenset(),
    FAILED: frozenset(),
    CANCELLED: frozenset(),
}
TABLES: dict[type, Table] = {Recording: RECORDINGS, Broadcast: BROADCASTS, Transcoding: TRANSCODINGS}


class NotNow(UsageError):
    """The row is in a state from which that one does not follow."""


async def move(tx: AsyncSession, ledger: Ledger[Row], row_id: str, state: str, **changes: Any) -> Row:
    """Set the row's state, and columns. The same state again changes columns only. NotNow leaves the transaction to fail."""
    before = (await ledger.update(tx, row_id)).state
    if state != before and state not in TABLES[ledger.MODEL][before]:
        raise NotNow(f"{row_id} is {before}: {state} does not follow")
    return await ledger.update(tx, row_id, state=state, **changes)

from tidegate.storage.guard import DiskGuard
from tidegate.storage.metrics import DiskMetrics


async def test_free_disk_is_shown_once_somebody_has_looked(tmp_path):
    guard = DiskGuard((tmp_path,), min_free_mb=500, measure=lambda folder: 7_000_000_000)

    def shown():
        return {sample.name: sample.value for family in DiskMetrics(guard).collect() for sample in family.samples}

    assert shown() == {"tidegate_disk_reserve_bytes": 500_000_000}
    await guard.look()
    assert shown() == {"tidegate_disk_reserve_bytes": 500_000_000, "tidegate_disk_free_bytes": 7_000_000_000}

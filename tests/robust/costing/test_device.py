"""Shares of a device's memory, and cycles."""

import math

import pytest

from robust.costing.device import cycles_per_macc, device_share
from robust.costing.whole_model import cost
from robust.errors import InvalidInput
from robust.limits import KiB, percent
from robust.measurement import Measurement


def test_shares_by_hand(tmp_path, float_file):
    (tmp_path / "net.onnx").write_bytes(float_file)
    found = cost(tmp_path / "net.onnx")
    share = device_share(found.rom, found.ram, flash_bytes=256 * KiB, ram_bytes=8 * KiB)
    assert (share.flash.value, share.ram.value) == (4 * 3818 / 262144, 0.75)
    assert (share.flash.unit, share.flash.name, share.flash.method) == ("share", "flash share", "exact")
    assert share.flash < percent(10)
    assert (share.ram < percent(75)).status == "FAIL"
    assert share.ram <= percent(75)


def test_plain_numbers_give_the_same():
    share = device_share(1024, 512.0, flash_bytes=4096, ram_bytes=256)
    assert (share.flash.value, share.ram.value) == (0.25, 2.0)
    assert (share.ram < 1).status == "FAIL"


def test_what_was_not_counted_stays_so():
    from robust.evidence import SelfCheck

    failed = SelfCheck(name="uncounted", passed=False, reason="a tree", bias="lowers")
    rom = Measurement(
        name="rom", value=100.0, lower=100.0, upper=100.0, n=1, method="exact", unit="bytes", validity=(failed,)
    )
    share = device_share(rom, 1, flash_bytes=1000, ram_bytes=10)
    assert (share.flash < 0.5).status == "INVALID"
    assert (share.flash < 0.05).status == "FAIL"


@pytest.mark.parametrize("size", [0, -1.0])
def test_a_device_has_memory(size):
    with pytest.raises(InvalidInput, match="a number of bytes above 0 would be right"):
        device_share(1, 1, flash_bytes=size, ram_bytes=1)


def test_shares_of_other_things_are_refused():
    macc = Measurement(name="macc", value=1.0, lower=1.0, upper=1.0, n=1, method="exact", unit="MACC")
    with pytest.raises(InvalidInput, match=r"rom got macc in MACC; cost\(model\).rom, in bytes"):
        device_share(macc, 1, flash_bytes=1, ram_bytes=1)
    with pytest.raises(InvalidInput, match="ram got -1; a number of bytes of at least 0"):
        device_share(1, -1, flash_bytes=1, ram_bytes=1)
    with pytest.raises(InvalidInput, match="flash_bytes"):
        device_share(1, 1, flash_bytes=math.nan, ram_bytes=1)


def test_cycles_by_hand():
    # 12 million cycles for 2 million products.
    assert cycles_per_macc(2e6, 0.15, 80e6) == pytest.approx(6.0)


@pytest.mark.parametrize("numbers", [(0, 1, 1), (1, -1, 1), (1, 1, math.inf), (math.nan, 1, 1)])
def test_cycles_of_nothing_are_refused(numbers):
    with pytest.raises(InvalidInput):
        cycles_per_macc(*numbers)

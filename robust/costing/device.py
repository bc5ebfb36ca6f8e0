"""What a model's memory and time come to on a device."""

import math
from dataclasses import dataclass, replace

from robust.errors import InvalidInput
from robust.intervals.arguments import check_finite
from robust.intervals.exact import exact
from robust.measurement import Measurement


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeviceShare:
    """Shares of a device's memory.

    Attributes:
        flash: ROM over the device's flash; above 1 the model does not fit.
        ram: RAM over the device's RAM.
    """

    flash: Measurement
    ram: Measurement


def device_share(rom: object, ram: object, *, flash_bytes: float, ram_bytes: float) -> DeviceShare:
    """Shares of a device's flash and RAM that a model's weights and activations take.

    flash = rom / flash_bytes, ram = ram / ram_bytes

    The segments of a firmware image (`text`, `rodata`, `data`, `bss`: runtime, kernels, stack) depend on compiler and
    runtime and are not in these figures.

    Args:
        rom: `cost(model).rom`, or a number of bytes.
        ram: `cost(model).ram`, or a number of bytes.
        flash_bytes: Flash that the device has for it, above 0.
        ram_bytes: RAM that the device has for it, above 0.

    Returns:
        Two exact Measurements, shares of at least 0, lower is better; what could not be counted is told by their
        self-checks.

    Raises:
        InvalidInput: If a number is not finite or out of range.

    >>> found = device_share(65536, 16384, flash_bytes=262144, ram_bytes=65536)
    >>> found.flash.value, (found.ram < 0.5).status
    (0.25, 'PASS')
    """
    return DeviceShare(
        flash=_share("flash share", "rom", rom, check_finite("flash_bytes", flash_bytes)),
        ram=_share("ram share", "ram", ram, check_finite("ram_bytes", ram_bytes)),
    )


def _share(name: str, part: str, used: object, available: float) -> Measurement:
    if available <= 0:
        raise InvalidInput(f"the device's memory got {available:g}; a number of bytes above 0 would be right")
    if isinstance(used, Measurement):
        if used.unit != "bytes":
            raise InvalidInput(f"{part} got {used.name} in {used.unit}; cost(model).{part}, in bytes, would be right")
        return replace(used / available, name=name, unit="share")
    count = check_finite(part, used)
    if count < 0:
        raise InvalidInput(f"{part} got {count:g}; a number of bytes of at least 0 would be right")
    interval = exact(count / available, 1)
    return Measurement(
        name=name,
        value=interval.value,
        lower=interval.lower,
        upper=interval.upper,
        n=1,
        method=interval.method,
        sizing=interval.sizing,
        unit="share",
        higher_is_better=False,
        reach=(0.0, math.inf),
    )


def cycles_per_macc(macc: float, seconds: float, clock_hz: float) -> float:
    """Processor cycles that one multiply-accumulate took, all other work of the run included.

    seconds · clock_hz / macc

    Args:
        macc: Multiply-accumulates of a run, above 0.
        seconds: Duration of that run on the device, above 0.
        clock_hz: Clock of the device, above 0.

    Returns:
        Cycles a multiply-accumulate, above 0; as a rule of thumb 9 on a Cortex-M4 and 6 on a Cortex-M7 in floating
        point, about half as many in 8 bits. It describes one model on one device and predicts no other.

    Raises:
        InvalidInput: If a number is not finite and above 0.

    >>> round(cycles_per_macc(80896, 0.0045504, 160e6), 6)
    9.0
    """
    for name, number in (("macc", macc), ("seconds", seconds), ("clock_hz", clock_hz)):
        if check_finite(name, number) <= 0:
            raise InvalidInput(f"{name} got {number!r}; a number above 0 would be right")
    return seconds * clock_hz / macc

"""How losses and sizes are said in sentences."""

from collections.abc import Sequence

from robust.measurement import Measurement


def points(m: Measurement) -> str:
    """A loss with its bounds: in points where it is a share.

    >>> points(Measurement(name="d", value=0.0125, lower=-0.002, upper=0.03, n=80, method="m"))
    '1.25 points (-0.2 .. 3)'
    >>> points(Measurement(name="d", value=0.5, lower=0.25, upper=2.0, n=80, method="m", unit="relative"))
    '50 % (25 .. 200)'
    """
    scale, unit = _scale(m.unit)
    return f"{_number(scale * m.value)}{unit} ({_number(scale * m.lower)} .. {_number(scale * m.upper)})"


def _scale(unit: str) -> tuple[float, str]:
    """What a value is multiplied by, and the unit that it then has."""
    if unit == "share":
        return 100.0, " points"
    return (100.0, " %") if unit == "relative" else (1.0, f" {unit}" if unit else "")


def _number(value: float) -> str:
    return f"{value + 0.0:.3g}"


def volume(count: int) -> str:
    """Bytes in a word.

    >>> volume(812), volume(24360), volume(-2304), volume(46_800_000)
    ('812 B', '24.4 kB', '-2.3 kB', '46.8 MB')
    """
    size = abs(count)
    if size < 1000:
        return f"{count} B"
    return f"{count / 1000:.1f} kB" if size < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def columns(rows: Sequence[tuple[str, ...]], *, right: tuple[int, ...]) -> str:
    """Rows of a table as text, the first one its head.

    Args:
        rows: Cells.
        right: Columns that are flush right.

    >>> print(columns([("layer", "bytes"), ("conv", "12")], right=(1,)))
    layer  bytes
    conv      12
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)

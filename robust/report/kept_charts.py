"""Charts kept between runs: laying one out takes a tenth of a second and two large libraries, reading it nothing."""

import hashlib
import json
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from robust.evidence import Figure
from robust.report.bundle import VEGA_LITE
from robust.whole_files import write_whole


def chart(figure: Figure, folder: Path | None) -> tuple[dict[str, Any], str]:
    """Live specification and still of a figure.

    Args:
        figure: What to draw.
        folder: Where charts are kept; None lays them out anew.

    Returns:
        A Vega-Lite specification, and an SVG whose ids are the converter's own.

    Raises:
        InvalidInput: If the figure's columns do not fit its kind.
    """
    path = None if folder is None else folder / f"chart-{_key(figure)}.json"
    if path is not None:
        with suppress(OSError, ValueError, KeyError):
            kept = json.loads(path.read_text(encoding="utf-8"))
            return kept["spec"], kept["svg"]
    import vl_convert

    from robust.report.charts import live, untitled

    spec = live(figure)
    # Through JSON: what is read back in the next run must be what is used in this one.
    spec = json.loads(json.dumps(spec))
    svg: str = vl_convert.vegalite_to_svg(untitled(spec), vl_version=VEGA_LITE)
    if path is not None:
        with suppress(OSError):
            write_whole(path, json.dumps({"spec": spec, "svg": svg}).encode())
    return spec, svg


def _key(figure: Figure) -> str:
    """Hash of the figure and of all that draws it."""
    return hashlib.sha256(msgspec.json.encode(figure) + _drawers().encode()).hexdigest()


@cache
def _drawers() -> str:
    """The libraries' versions, and this package's own chart modules by size and time."""
    libraries = [version("altair"), version("vl-convert-python"), VEGA_LITE]
    modules = sorted(Path(__file__).parent.glob("*.py"))
    states = [f"{path.name}:{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in modules]
    return repr((libraries, states))

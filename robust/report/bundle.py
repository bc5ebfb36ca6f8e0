"""The chart libraries as one inline script, made once and kept."""

import hashlib
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

from robust.whole_files import write_whole

# Newest Vega-Lite that both Altair's schema and the converter know.
VEGA_LITE = "6.4"
_EXPORTS = "window.vegaEmbed = vegaEmbed;"


def bundle(folder: Path | None = None) -> str:
    """Vega, Vega-Lite and Vega-Embed as the text of one script element; it defines `vegaEmbed` and nothing else.

    Making it takes seconds, reading it milliseconds.

    Args:
        folder: Where it is kept between runs; None keeps it for this process only. A damaged copy is made anew,
            a folder that cannot be written is passed over.

    Returns:
        JavaScript without `</script` and `<!--`.
    """
    if folder is None:
        return _made()
    path = folder / f"charts-{version('vl-convert-python')}-{VEGA_LITE}.js"
    with suppress(OSError, UnicodeDecodeError):
        checksum, _, kept = path.read_text(encoding="utf-8").partition("\n")
        if checksum == _checksum(kept):
            return kept
    script = _made()
    with suppress(OSError):
        write_whole(path, f"{_checksum(script)}\n{script}".encode())
    return script


@cache
def _made() -> str:
    """The bundle, wrapped: unwrapped, its short global names shadow those of other scripts."""
    import vl_convert

    libraries = vl_convert.javascript_bundle(_EXPORTS, vl_version=VEGA_LITE)
    # In strings and patterns, the only places where these can stand, a backslash before / or ! changes nothing.
    libraries = libraries.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    return f"(() => {{{libraries}\n}})();"


def _checksum(text: str) -> str:
    """First line of the kept file: a half-written or edited copy is not used."""
    return f"// sha256 {hashlib.sha256(text.encode()).hexdigest()}"

"""The files of an audit: the record, and the report that is made of it."""

from pathlib import Path

from robust.record.codec import dump
from robust.record.shape import Record


def write_report(record: Record, out: Path, *, cache: Path | None) -> bool:
    """Write `record.json` first, then `report.html`; an audit that was interrupted has a record alone.

    Args:
        record: An audit.
        out: The folder.
        cache: Where charts are kept between runs; None makes them anew.

    Returns:
        Whether it came to its end; not where Ctrl-C stopped it, which leaves no half of a report.
    """
    page = out / "report.html"
    try:
        # A report of an earlier run must not stand beside the record of this one.
        page.unlink(missing_ok=True)
        (out / "record.json").write_bytes(dump(record))
        if not record.interrupted:
            from robust.report.html import render_html

            page.write_text(render_html(record, cache=cache), encoding="utf-8")
    except KeyboardInterrupt:
        page.unlink(missing_ok=True)
        return False
    return True

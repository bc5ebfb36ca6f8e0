"""The files of an audit: the record, and the report that is made of it."""

from contextlib import suppress
from pathlib import Path

from robust.errors import InvalidInput
from robust.record.codec import dump
from robust.record.shape import Record

RECORD, REPORT = "record.json", "report.html"


def clear_report(out: Path) -> None:
    """Remove the files of an earlier audit: its answer must not stand where this one ends without any.

    Args:
        out: The folder.

    Raises:
        InvalidInput: If one of them cannot be removed, and so not be written either.
    """
    for path in (out / RECORD, out / REPORT):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise InvalidInput(
                f"{path} is in the way ({error.strerror}): move it, or name another folder with --out"
            ) from error


def write_report(record: Record, out: Path, *, cache: Path | None) -> bool:
    """Write `record.json` first, then `report.html`; an audit that was interrupted has a record alone.

    Args:
        record: An audit.
        out: The folder.
        cache: Where charts are kept between runs; None makes them anew.

    Returns:
        Whether it came to its end; not where Ctrl-C stopped it, which leaves no half of a report.

    Raises:
        InvalidInput: If a file cannot be written.
    """
    try:
        write_file(out / RECORD, dump(record))
        if not record.interrupted:
            from robust.report.html import render_html

            write_file(out / REPORT, render_html(record, cache=cache).encode())
    except KeyboardInterrupt:
        return False
    return True


def write_file(path: Path, content: bytes) -> None:
    """Write a file, or leave none.

    Raises:
        InvalidInput: If it cannot be written.
    """
    try:
        path.write_bytes(content)
    except BaseException as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InvalidInput(f"{path} cannot be written: {error.strerror or error}") from error
        raise

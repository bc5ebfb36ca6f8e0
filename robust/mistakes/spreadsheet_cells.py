"""Cells of csv files that a spreadsheet opens as text, never as a formula."""

from collections.abc import Iterable

#: Characters with which spreadsheets begin a formula, or jump to one.
_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def safe_cell(text: str) -> str:
    """A cell that no spreadsheet runs: text that begins like a formula gets an apostrophe in front; numbers stay.

    Args:
        text: What data say.

    Returns:
        The text, or the text behind an apostrophe.

    >>> safe_cell("=1+1"), safe_cell("-0.5"), safe_cell("site A"), safe_cell(" =cmd()")
    ("'=1+1", '-0.5', 'site A', "' =cmd()")
    """
    start = text.lstrip()
    if not start.startswith(_STARTS) and not text.startswith(_STARTS):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def csv_line(cells: Iterable[str]) -> str:
    r"""One line of a csv file; every cell is safe, those with commas, quotes or line breaks are quoted.

    >>> csv_line(["a", "b,c", "=d"])[:-1]
    'a,"b,c",\'=d'
    """
    return ",".join(_quoted(safe_cell(cell)) for cell in cells) + "\n"


def _quoted(cell: str) -> str:
    if any(letter in cell for letter in ',"\n\r'):
        return '"' + cell.replace('"', '""') + '"'
    return cell

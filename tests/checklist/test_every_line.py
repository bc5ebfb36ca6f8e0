"""Every line of the checklist is either tried in this folder or accounted for in docs/checklist.md."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "checklist.md"
LINES = [*(f"T{i:02d}" for i in range(1, 17)), *(f"E{i:02d}" for i in range(1, 28))]
#: What a page may say of a line, and whether there must be a test of it.
STATES = {"works": True, "partly": True, "not yet": False, "does not apply": False}


def accounts():
    """State and words of each line of the page's tables: `| T07 | what | state | words |`."""
    found = {}
    for row in re.findall(r"^\| ([TE]\d\d) \|(.*)\|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE):
        what, state, words = (cell.strip() for cell in row[1].split("|"))
        assert row[0] not in found, f"{row[0]} stands twice"
        found[row[0]] = (what, state, words)
    return found


def tried():
    """Names of the tests of this folder by their line."""
    names = {}
    for path in FOLDER.glob("test_*.py"):
        for name in re.findall(r"^def (test_[TE]\d\d_\w+)\(", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
            names.setdefault(name[5:8], []).append(name)
    return names


def test_the_page_has_every_line_once_and_no_other():
    assert sorted(accounts()) == sorted(LINES)


def test_no_test_is_of_a_line_that_there_is_not():
    assert set(tried()) <= set(LINES)


@pytest.mark.parametrize("line", LINES)
def test_every_line_has_a_test_or_a_reason(line):
    what, state, words = accounts()[line]
    assert what
    assert state in STATES, f"{line}: {state!r}"
    assert (line in tried()) >= STATES[state], f"{line} {state}, but nothing tries it"
    if state != "works":
        assert len(words.split()) >= 5, f"{line} is {state!r}: a reason is missing"


def test_what_does_not_apply_is_said_with_a_reason():
    """Parts of lines that a host tool cannot have: `* **name** (E25): reason`."""
    section = PAGE.read_text(encoding="utf-8").partition("\n## What does not apply\n")[2].partition("\n## ")[0]
    items = re.findall(
        r"^\* \*\*(.+?)\*\* \(([TE]\d\d)\): (.+?)(?=\n\* |\n*\Z)", section, flags=re.DOTALL | re.MULTILINE
    )
    assert {line for _, line, _ in items} >= {"E24", "E25", "T14", "T15"}
    assert all(line in LINES and len(reason.split()) >= 8 for _, line, reason in items)

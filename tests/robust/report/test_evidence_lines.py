"""What stands in a section of pytest's report about tables and galleries."""

from robust.evidence import Example, Gallery, Picture, Table
from robust.measurement import Measurement
from robust.report.assertion import evidence_lines


def test_tables_and_galleries_are_lines_of_text() -> None:
    dot = Picture(title="original", width=1, height=1, channels=1, pixels=b"\x07")
    m = Measurement(
        name="robust_accuracy",
        value=0.8,
        lower=0.7,
        upper=0.9,
        n=60,
        method="clopper-pearson",
        evidence=(
            Table(title="Changes", headings=("row", "change"), rows=(("17", "age 43 → 45"),), total=3),
            Gallery(title="Examples", examples=(Example(id=5, words=("8 → 3", "change 0.01"), pictures=(dot,)),)),
        ),
    )
    text = "\n".join(evidence_lines(m > 0.5))
    for line in ("table     Changes", "17  age 43 → 45", "(2 more)", "examples  Examples", "row 5: 8 → 3, change 0.01"):
        assert line in text

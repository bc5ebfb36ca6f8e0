"""The most fragile rows of an attack as a reader can judge them: drawn, or as changes in the user's own units."""

from robust.attacks.gallery_changes import change_table
from robust.attacks.gallery_images import image_gallery, image_layout
from robust.attacks.gallery_lines import line_figures, line_layout
from robust.attacks.gallery_rows import fragile_rows
from robust.attacks.rungs import Outcome
from robust.attacks.target import Target
from robust.evidence import Evidence, Rows

_MOST_ROWS, _SHOWN = 10, 8


def gallery_evidence(outcome: Outcome, target: Target) -> tuple[Evidence, ...]:
    """The most fragile rows: their ids, and at most 8 of them as pictures, lines, or changes of named features.

    Args:
        outcome: What the attacks did.
        target: The rows that they were tried on, all right before (n, d).

    Returns:
        The evidence; ids alone where nothing broke.
    """
    rows = fragile_rows(outcome, target)
    of = f", of the {rows.looked_at} whose margin was smallest" if rows.looked_at < rows.total else ""
    ids = Rows(
        what=f"broken rows, smallest change first ({rows.unit}{of})",
        ids=rows.ids[:_MOST_ROWS],
        values=tuple(float(f"{size:.4g}") for size in rows.size[:_MOST_ROWS]),
        total=rows.total,
    )
    if rows.total == 0:
        return (ids,)
    schema, shown = target.data.schema, rows.first(_SHOWN)
    picture, line = image_layout(schema.shape), line_layout(schema)
    if picture is not None:
        return (ids, image_gallery(shown, schema, picture))
    lines = () if line is None else line_figures(shown, line)
    # Steps of a series have no names that a table could give.
    table = () if line is not None and len(schema.shape) > 1 else (change_table(shown, schema),)
    return (ids, *table, *lines)

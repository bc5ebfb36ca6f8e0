"""Which random rows a fuzz asks, level by level, and in which forms."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from robust.fuzzing.batch_forms import BatchForm, batch_forms
from robust.fuzzing.campaign import Stream
from robust.fuzzing.domain import Domain
from robust.fuzzing.edge_rows import edge_ladder, edge_rows
from robust.fuzzing.faults import Level
from robust.fuzzing.odd_rows import ODDITIES, missing_rows, odd_rows, odd_table, oddities
from robust.fuzzing.random_rows import inside_rows
from robust.fuzzing.row_source import Draws, RowSource
from robust.fuzzing.subject import Subject
from robust.types import AnyArray

#: Shares of the rows; what is not asked for falls to the others.
_SHARES: dict[Level, int] = {"inside": 2, "edges": 1, "outside": 1}
#: Tell the sorts of rows of one seed apart.
_INSIDE, _EDGES, _FORMS, _ORDINARY, _MISSING, _ALIKE, _ODD = 1, 2, 3, 4, 5, 6, 100
#: Rows of the batch that is one row again and again.
_EQUALS = 8
#: Blocks of ordinary rows that are kept, 1 MB each at most.
_KEPT = 32


def fuzz_streams(domain: Domain, subject: Subject, levels: Sequence[Level], *, n: int, seed: int) -> list[Stream]:
    """What is asked, in order.

    Args:
        domain: The schema, closed.
        subject: The model, which says what forms can reach it.
        levels: Which levels.
        n: Rows in all, beside those of odd forms.
        seed: The user's seed.
    """
    total = sum(_SHARES[level] for level in levels)
    ends = [n * sum(_SHARES[level] for level in levels[: i + 1]) // total for i in range(len(levels))]
    counts = {level: end - start for level, start, end in zip(levels, [0, *ends], ends, strict=False)}

    def source(make: Callable[[Domain, Draws], AnyArray], stream: int, *, keep: int = 1) -> RowSource:
        return RowSource(make=partial(make, domain), width=domain.width, seed=seed, stream=stream, keep=keep)

    found = []
    if counts.get("inside"):
        rows = source(inside_rows, _INSIDE)
        found.append(Stream(level="inside", name="random rows", rows=counts["inside"], source=rows))
    if counts.get("edges"):
        rows = source(partial(edge_rows, ladder=edge_ladder(domain)), _EDGES)
        found.append(Stream(level="edges", name="rows at the edges", rows=counts["edges"], source=rows))
    if "edges" in levels:
        alike = BatchForm(size=subject.model.fixed_batch or _EQUALS)
        rows = source(_alike_rows, _ALIKE)
        found.append(Stream(level="edges", name="equal rows", rows=alike.size or 0, source=rows, form=alike))
    if "outside" in levels:
        kinds = oddities(domain)
        # Odd values of each kind stand in the same ordinary rows, which are made once.
        ordinary = source(inside_rows, _ORDINARY, keep=_KEPT)
        for i, kind in enumerate(kinds):
            share = counts["outside"] * (i + 1) // len(kinds) - counts["outside"] * i // len(kinds)
            make = _odd(ordinary, oddity=kind, table=odd_table(domain, kind), fixed=subject.labelled)
            rows = source(make, _ODD + ODDITIES.index(kind))
            found += [Stream(level="outside", name=f"{kind} values", rows=share, source=rows)] if share else []
        own, fixed = subject.own or str(domain.dtype), subject.model.fixed_batch
        plain = source(inside_rows, _FORMS)
        forms = batch_forms(own=own, fixed=fixed, layouts=subject.layouts) if subject.exact else ()
        for form in forms:
            found.append(Stream(level="outside", name=form.name, rows=form.size or 0, source=plain, form=form))
        missing = source(missing_rows, _MISSING)
        for form in forms if "nan" in kinds else ():
            if form.size and np.dtype(form.dtype or domain.dtype).kind == "f":
                name = f"{form.name}, nan values"
                found.append(Stream(level="outside", name=name, rows=form.size, source=missing, form=form))
    return found


def _alike_rows(domain: Domain, draws: Draws) -> AnyArray:
    """One row, again and again."""
    rows = inside_rows(domain, draws)
    return np.repeat(rows[:1], len(rows), axis=0)


def _odd(ordinary: RowSource, **options: Any) -> Callable[[Domain, Draws], AnyArray]:
    """Makes odd rows of ordinary ones."""

    def make(domain: Domain, draws: Draws) -> AnyArray:
        return odd_rows(domain, draws, ordinary.block(draws.block).copy(), **options)

    return make

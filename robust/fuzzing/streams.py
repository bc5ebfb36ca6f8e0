"""Which random rows a fuzz asks, level by level, and in which forms."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from robust.fuzzing.batch_forms import batch_forms
from robust.fuzzing.campaign import Stream
from robust.fuzzing.domain import Domain
from robust.fuzzing.edge_rows import edge_ladder, edge_rows
from robust.fuzzing.faults import Level
from robust.fuzzing.odd_rows import ODDITIES, odd_rows, odd_table, oddities
from robust.fuzzing.random_rows import inside_rows
from robust.fuzzing.row_source import Draws, RowSource
from robust.fuzzing.subject import Subject
from robust.types import AnyArray

#: Shares of the rows; what is not asked for falls to the others.
_SHARES: dict[Level, int] = {"inside": 2, "edges": 1, "outside": 1}
#: Tell the sorts of rows of one seed apart.
_INSIDE, _EDGES, _FORMS, _ORDINARY, _ODD = 1, 2, 3, 4, 100
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
    return found


def _odd(ordinary: RowSource, **options: Any) -> Callable[[Domain, Draws], AnyArray]:
    """Makes odd rows of ordinary ones."""

    def make(domain: Domain, draws: Draws) -> AnyArray:
        return odd_rows(domain, draws, ordinary.block(draws.block).copy(), **options)

    return make

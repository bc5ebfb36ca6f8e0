"""Shrinks a failing batch: fewer rows, fewer features that differ from the simplest row, simpler values.

hypothesis decides what to try next. What it draws says what is left out of the batch that failed: nothing drawn is the
simplest row, and what it draws at random keeps most of the batch, so that the failure is found at once.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter

import numpy as np

from robust.fuzzing.domain import Domain
from robust.types import AnyArray

#: Parts that are tried together: hypothesis shrinks so many at once in well under a second.
_PARTS = 12
_KEEP_BITS, _RANK_BITS = 2, 3
_EXAMPLES = 60
#: Batches that are looked at for one example at most, and seconds where the model is slow.
_LOOKS, _SECONDS = 700, 30.0


class _Enough(Exception):
    """What is spent on one example is used up."""


@dataclass(slots=True)
class _Search:
    """What was tried, so that each batch is asked once and hypothesis sees the same answer every time."""

    fails: Callable[[AnyArray], bool]
    known: dict[bytes, bool] = field(default_factory=dict)
    looks: int = 0
    started: float = field(default_factory=perf_counter)

    def __call__(self, rows: AnyArray) -> bool:
        key = repr(rows.shape).encode() + rows.tobytes()
        self.looks += 1
        if self.looks > _LOOKS or perf_counter() - self.started > _SECONDS:
            raise _Enough
        if key not in self.known:
            self.known[key] = self.fails(rows)
        return self.known[key]


def shrunk(rows: AnyArray, domain: Domain, fails: Callable[[AnyArray], bool], *, seed: int) -> AnyArray:
    """A smaller batch that fails in the same way.

    Args:
        rows: A batch that fails (b, d).
        domain: Has the simplest row, and the columns that only change together.
        fails: Whether a batch fails in the same way.
        seed: Of what hypothesis draws.

    Returns:
        Rows (b', d), b' ≤ b, that fail; the given ones where nothing simpler does.
    """
    search = _Search(fails=fails)
    best = [rows]

    def better(candidate: AnyArray) -> bool:
        if search(candidate):
            best[0] = candidate
            return True
        return False

    try:
        if not better(rows):
            return rows
        _fewer_rows(best, better, seed)
        _fewer_cells(best, better, domain, seed)
        _simpler_values(best, better, domain, seed)
        _fewer_rows(best, better, seed)
    except _Enough:
        pass
    return best[0]


def _fewer_rows(best: list[AnyArray], better: Callable[[AnyArray], bool], seed: int) -> None:
    """Leave rows out; a short beginning of the batch is tried first."""
    rows = best[0]
    for size in (1, 2, 3):
        if size < len(rows) and better(rows[:size]):
            return

    def build(kept: Sequence[int]) -> AnyArray | None:
        return rows[list(kept)] if kept else None

    _fewest(len(rows), build, better, seed)


def _fewer_cells(best: list[AnyArray], better: Callable[[AnyArray], bool], domain: Domain, seed: int) -> None:
    """Make cells as they are in the simplest row, unit by unit."""
    rows = best[0]
    cells, unit_of = _deviating(rows, domain)

    def build(kept: Sequence[int]) -> AnyArray:
        keeps = np.zeros((len(rows), len(domain.units)), dtype=bool)
        keeps[tuple(cells[list(kept)].T)] = True
        return np.where(keeps[:, unit_of], rows, domain.base)

    _fewest(len(cells), build, better, seed)


def _simpler_values(best: list[AnyArray], better: Callable[[AnyArray], bool], domain: Domain, seed: int) -> None:
    """Give the cells that remain simpler values: a bound, what is common in the data, fewer digits."""
    cells = [(int(i), domain.units[unit]) for i, unit in _deviating(best[0], domain)[0]]
    for start in range(0, len(cells), _PARTS):
        window = cells[start : start + _PARTS]
        now = best[0]
        ladders = [_rungs(now[i, unit], unit, domain) for i, unit in window]

        def build(
            ranks: Sequence[int],
            now: AnyArray = now,
            window: list[tuple[int, AnyArray]] = window,
            ladders: list[list[AnyArray]] = ladders,
        ) -> AnyArray:
            found = now.copy()
            for rank, (i, unit), ladder in zip(ranks, window, ladders, strict=True):
                if rank <= len(ladder):
                    found[i, unit] = domain.base[unit] if rank == 0 else ladder[rank - 1]
            return found

        _find(len(window), _RANK_BITS, lambda ranks, build=build: better(build(ranks)), seed)  # type: ignore[misc]


def _fewest(
    count: int, build: Callable[[Sequence[int]], AnyArray | None], better: Callable[[AnyArray], bool], seed: int
) -> None:
    """Keep as few of `count` things as fail: large parts of them first, then smaller ones."""
    nothing = build([])
    if not count or (nothing is not None and better(nothing)):
        return
    kept = _halved(list(range(count)), build, better)
    if len(kept) == 1:
        return
    size = max(1, -(-len(kept) // _PARTS))
    while kept:
        places = [*range(0, len(kept), size), len(kept)]
        parts = [kept[start:stop] for start, stop in pairwise(places)]
        for start in range(0, len(parts), _PARTS):
            window = parts[start : start + _PARTS]
            held = {place for part in window for place in part}
            rest = [place for place in kept if place not in held]

            def chosen(ranks: Sequence[int], window: list[list[int]] = window, rest: list[int] = rest) -> list[int]:
                return sorted(
                    [*rest, *(place for rank, part in zip(ranks, window, strict=True) if rank for place in part)]
                )

            def fails(ranks: Sequence[int], chosen: Callable[[Sequence[int]], list[int]] = chosen) -> bool:
                candidate = build(chosen(ranks))
                return candidate is not None and better(candidate)

            ranks = _find(len(window), _KEEP_BITS, fails, seed)
            if ranks is not None:
                kept = chosen(ranks)
        if size == 1:
            return
        size = max(1, min(size // 2, -(-len(kept) // _PARTS)))


def _halved(
    kept: list[int], build: Callable[[Sequence[int]], AnyArray | None], better: Callable[[AnyArray], bool]
) -> list[int]:
    """The half that fails, of that the half, …: where one thing is at fault, what is left for hypothesis is small."""
    while len(kept) > _PARTS // 2:
        middle = len(kept) // 2
        for half in (kept[:middle], kept[middle:]):
            candidate = build(half)
            if candidate is not None and better(candidate):
                kept = half
                break
        else:
            return kept
    return kept


def _find(count: int, bits: int, fails: Callable[[Sequence[int]], bool], seed: int) -> tuple[int, ...] | None:
    """The simplest ranks (count,) that fail, each of 0 … 2^bits − 1; None where none was found.

    Made of booleans alone: for numbers hypothesis would read the user's code for constants, and keep them in a file.
    """
    from hypothesis import Phase, Verbosity, find, settings
    from hypothesis import strategies as st
    from hypothesis.errors import HypothesisException

    if not count:
        return ()
    rank = st.tuples(*[st.booleans()] * bits).map(lambda drawn: sum(bit << k for k, bit in enumerate(reversed(drawn))))
    quiet = settings(
        database=None,
        derandomize=False,  # seeded instead; a profile for CI would say otherwise
        phases=(Phase.generate, Phase.shrink),
        max_examples=_EXAMPLES,
        deadline=None,
        verbosity=Verbosity.quiet,
    )
    try:
        return find(st.tuples(*[rank] * count), fails, settings=quiet, random=random.Random(seed))  # noqa: S311
    except HypothesisException:
        return None


def _rungs(value: AnyArray, unit: AnyArray, domain: Domain) -> list[AnyArray]:
    """Simpler values for a unit, the simplest first; what does not obey the schema is refused by whoever asks."""
    if len(unit) > 1:
        eye = np.eye(len(unit), dtype=domain.dtype)
        return [row for row in eye if not np.array_equal(row, value)] if len(unit) <= _PARTS else []
    number = float(value[0])
    if not np.isfinite(number) or domain.dtype.kind == "b":
        return []
    j = int(unit[0])
    common = np.sort(domain.pool[:, j])[len(domain.pool) // 2]
    wanted = [1.0 if number > 0 else -1.0, float(domain.upper[j]), float(domain.lower[j]), float(common)]
    wanted += [float(f"{number:.{digits}g}") for digits in (1, 2, 3)]
    found: list[AnyArray] = []
    with np.errstate(over="ignore", invalid="ignore"):
        for simple in wanted:
            if domain.dtype.kind != "f" and not (np.isfinite(simple) and simple == np.rint(simple)):
                continue
            cell = np.array([simple]).astype(domain.dtype)
            if not any(np.array_equal(cell, other) for other in (*found, value, domain.base[unit])):
                found.append(cell)
    return found[: 2**_RANK_BITS - 2]


def _deviating(rows: AnyArray, domain: Domain) -> tuple[AnyArray, AnyArray]:
    """Row and unit of what is not as in the simplest row, to the last bit (c, 2); and the unit of each feature (d,)."""
    unit_of = np.zeros(domain.width, dtype=np.int64)
    for i, unit in enumerate(domain.units):
        unit_of[unit] = i
    size = rows.dtype.itemsize
    bits, base = (np.ascontiguousarray(array).view(np.uint8) for array in (rows, domain.base[None]))
    row, column = np.nonzero((bits != base).reshape(len(rows), domain.width, size).any(axis=2))
    return np.unique(np.stack([row, unit_of[column]], axis=1), axis=0), unit_of

"""One small example of each kind of failure that a fuzz found."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from robust.fuzzing.asking import OutOfMemory
from robust.fuzzing.campaign import Campaign, Failing
from robust.fuzzing.domain import Domain
from robust.fuzzing.examining import Examiner
from robust.fuzzing.example_files import save_example
from robust.fuzzing.faults import SAMPLED
from robust.fuzzing.fuzz_result import FuzzExample
from robust.fuzzing.shrinking import shrunk
from robust.types import AnyArray

#: Kinds of failure that are shrunk; more are counted, and shown as they were found.
_SHRUNK = 20
#: Cells that are named at most.
_NAMED = 64


def minimal_examples(
    campaign: Campaign, domain: Domain, *, seed: int, folder: Path | None, data: str
) -> tuple[FuzzExample, ...]:
    """Shrink one batch of each kind of failure; Ctrl-C leaves the rest as they were found.

    Args:
        campaign: What was found.
        domain: The schema, closed.
        seed: The user's seed.
        folder: Where to save them, or None.
        data: Fingerprint of the data.
    """
    found: list[FuzzExample] = []
    failing, shrinking = list(campaign.failing.values()), True
    for i, one in enumerate(failing):
        rows, words = one.rows, one.fault.words
        if shrinking and i < _SHRUNK:
            try:
                rows, words = _shrunk(campaign.examiner, domain, one, seed)
            except KeyboardInterrupt:
                campaign.interrupted, shrinking = True, False
        example = _example(domain, one, rows, words)
        if folder is not None:
            path = save_example(example, folder, examiner=campaign.examiner, schema=domain.schema, seed=seed, data=data)
            example = replace(example, path=path)
        found.append(example)
    if len(failing) > _SHRUNK:
        campaign.notes.append(f"{len(failing)} kinds of failure: the first {_SHRUNK} were shrunk")
    return tuple(found)


def _shrunk(examiner: Examiner, domain: Domain, failing: Failing, seed: int) -> tuple[AnyArray, str]:
    """The smallest batch that is found to fail in the same way, at the same level; and how it fails."""
    fault, level = failing.fault, failing.level
    # A row that raises alone is found by asking rows alone.
    sampled = SAMPLED if fault.property == "no exception" else SAMPLED & {fault.property}

    said: dict[bytes, str] = {}

    def fails(rows: AnyArray) -> bool:
        if level != "outside" and not domain.obeyed(rows).all():
            return False
        try:
            seen = examiner.examine(rows, level=level, form=failing.form, sampled=sampled)
        except OutOfMemory:
            return False
        same = [other for other in seen.faults if other.property == fault.property and other.kind == fault.kind]
        if same:
            said[rows.tobytes()] = same[0].words
        return bool(same)

    rows = failing.rows
    if fault.rows is not None and fault.rows.any():
        alone = rows[np.flatnonzero(fault.rows)[:1]]
        rows = alone if fails(alone) else rows
    found = shrunk(rows, domain, fails, seed=seed)
    return found, said.get(found.tobytes(), fault.words)


def _example(domain: Domain, failing: Failing, rows: AnyArray, words: str) -> FuzzExample:
    names, form = domain.schema.names, failing.form
    same = (rows == domain.base) | ((rows != rows) & (domain.base != domain.base))
    places = np.argwhere(~same)[:_NAMED]
    return FuzzExample(
        property=failing.fault.property,
        level=failing.level,
        kind=failing.fault.kind,
        words=words,
        rows=rows.reshape(len(rows), *domain.schema.shape),
        form=form if form.size is None else replace(form, size=len(rows)),
        inputs=failing.inputs,
        names=tuple((int(i), names[j], float(rows[i, j])) for i, j in places),
        found_in=len(failing.rows),
    )

"""The random attack: a high volume of random input at three levels, held against what every model must keep to."""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.fuzzing.asking import Asker, quiet
from robust.fuzzing.campaign import Campaign
from robust.fuzzing.domain import Domain, domain_of
from robust.fuzzing.examining import Examiner
from robust.fuzzing.expected import Expected
from robust.fuzzing.failure_count import failure_count
from robust.fuzzing.faults import LEVELS, read_levels
from robust.fuzzing.fuzz_result import FuzzResult
from robust.fuzzing.learning import learned
from robust.fuzzing.minimal_examples import minimal_examples
from robust.fuzzing.streams import fuzz_streams
from robust.fuzzing.subject import Subject, subject_of
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.models.row_types import row_type
from robust.predicting.meaning import SUM_TOLERANCE

_LARGEST = 2**63
_OF_FILES = (".npz", ".npy", ".json", ".csv", ".html", ".txt")


def fuzz(
    model: object,
    data: object,
    *,
    n: int = 10_000,
    seed: int = 0,
    budget: float | None = None,
    levels: Sequence[str] = LEVELS,
    save: str | Path | None = None,
    may_refuse: bool = True,
) -> FuzzResult:
    """Ask a model about random rows, and hold its answers against what every model must keep to.

    failures = |{inputs: some property does not hold}|, over rows inside the schema (half of n), at its edges and
    outside it (a quarter each), and over batches of odd sizes, types and orders of memory.

    Properties: no exception, one row of as many numbers as ever out for each row in, finite outputs, probabilities
    where the model gives them, the input as it was, the same answer to the same batch, an answer that does not depend
    on other rows, each call within `budget`. `docs/fuzz.md` has the table of what is asked of which level.

    Args:
        model: What `as_model` takes; torch modules, ONNX sessions, estimators and functions are called on exactly the
            rows of a batch, without the padding and copies that measurements elsewhere use.
        data: Rows, or what `as_data` takes, for the schema, for ranges that the schema leaves open, and to blend from.
        n: Random rows in all, at least 1.
        seed: Seed of the rows; row i is the same for any n, batch size and order.
        budget: Seconds that a call of at most `batch_size` rows may take; None for as long as it likes. A call in
            Python's own code is given up after ten budgets, a library's kernel cannot be.
        levels: Of `inside`, `edges`, `outside`.
        save: A folder for failing batches, or None.
        may_refuse: Whether a clear refusal (ValueError, TypeError, …) of what is outside the schema is in order.

    Returns:
        The count `failures` (0 … n and batches, lower is better; exact, so that `failures == 0` compares), `examples`,
        `table()`.

    Raises:
        InvalidInput: If n is no whole number of at least 1, a level is unknown, `save` is a file, or the data does
            not fit.
        ModelFault: If the model raises on every row of the data that is tried.

    Source:
        Random testing of properties with shrinking: Claessen and Hughes (2000), ICFP, 268; the bound of a level:
        Clopper and Pearson (1934), Biometrika 26:404.

    >>> import numpy as np
    >>> from robust.data.live import as_data
    >>> data = as_data([[0.1, 0.5], [0.9, 0.2]], schema={"bounds": (0, 1)})
    >>> (fuzz(lambda x: x.sum(axis=1), data, n=1000).failures == 0).status
    'PASS'
    >>> broken = fuzz(lambda x: np.log(0.9 - x[:, 0]), data, n=1000, levels=["inside"])
    >>> broken.examples[0].rows.tolist(), (broken.failures == 0).status
    ([[1.0, 0.0]], 'FAIL')
    """
    n = _whole(n, "n", least=1)
    seed = _whole(seed, "seed", least=0)
    seconds = _read_budget(budget)
    wanted, folder = read_levels(levels), _read_folder(save)
    found, rows = as_model(model), as_data(data)
    subject = subject_of(found, rows.schema, rows.x.dtype)
    domain = domain_of(rows, whole_numbers=_takes_whole_numbers(found), dtype=_row_dtype(subject, rows.x.dtype))
    asker = Asker(subject=subject, shape=rows.schema.shape, budget=seconds)
    with quiet(), subject.during():
        expected = learned(found, asker, domain)
        examiner = Examiner(
            asker=asker, obeyed=domain.obeyed, base=domain.base, expected=expected, may_refuse=bool(may_refuse)
        )
        campaign = Campaign(examiner=examiner, size=found.fixed_batch or found.batch_size)
        campaign.notes += _notes(domain, expected, subject)
        start, before = perf_counter(), asker.clock.seconds
        campaign.run(fuzz_streams(domain, subject, wanted, n=n, seed=seed))
        spent, inside = perf_counter() - start, asker.clock.seconds - before
        examples = minimal_examples(campaign, domain, seed=seed, folder=folder, data=rows.fingerprint)
    return FuzzResult(
        failures=failure_count(campaign, found, rows, wanted, n=n, seed=seed, spent=spent),
        examples=examples,
        levels=tuple(campaign.tallies.items()),
        refusals=tuple(campaign.refusals.items()),
        seconds=spent,
        inside_model=inside / spent if spent > 0 else 0.0,
        noise=campaign.noise,
        notes=tuple(campaign.notes),
        interrupted=campaign.interrupted,
        schema=rows.schema,
    )


def _whole(value: object, name: str, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value < _LARGEST:
        raise InvalidInput(f"{name} must be a whole number of at least {least}, got {value!r}")
    return int(value)


def _read_budget(budget: object) -> float | None:
    if budget is None:
        return None
    known = isinstance(budget, int | float | np.number) and not isinstance(budget, bool)
    if not known or not 0 < float(budget) < float("inf"):  # type: ignore[arg-type]
        raise InvalidInput(f"budget is in seconds a call, above 0, got {budget!r}")
    return float(budget)  # type: ignore[arg-type]


def _read_folder(save: object) -> Path | None:
    if save is None:
        return None
    if not isinstance(save, str | Path):
        raise InvalidInput(f"save is a folder for failing batches, got {save!r}")
    folder = Path(save)
    if (folder.exists() and not folder.is_dir()) or (not folder.exists() and folder.suffix in _OF_FILES):
        raise InvalidInput(f"failing batches are saved in a folder, {folder} is a file; 'found' would be right")
    return folder


def _row_dtype(subject: Subject, dtype: "np.dtype[Any]") -> "np.dtype[Any]":
    """The floating type that a model takes, else that of the data: the next number is another in each."""
    own = np.dtype(subject.own) if subject.own else dtype
    return own if own.kind == dtype.kind == "f" else dtype


def _takes_whole_numbers(model: Model) -> bool:
    """Whether a model takes integers that are what they look like: codes of words, say."""
    known = row_type(model)
    return known is not None and np.dtype(known.dtype).kind in "iub" and known.codes is None


def _notes(domain: Domain, expected: Expected, subject: Subject) -> list[str]:
    """What a reader must know before any row is asked."""
    found = []
    if len(domain.ranged):
        names = ", ".join(repr(domain.schema.names[j]) for j in domain.ranged[:4])
        more = ", …" if len(domain.ranged) > 4 else ""
        found.append(
            f"{len(domain.ranged)} of {domain.width} features have no declared bounds ({names}{more}): inside is taken "
            "to be the range of the data"
        )
    if expected.inside is not None and not expected.declared:
        found.append("outputs are held to be probabilities, since they are on the data's own rows")
    loose = [
        f"{what} by up to {allowed:.3g}"
        for what, allowed in (("a sum of 1", expected.summed), ("0 … 1", expected.inside))
        if allowed is not None and allowed > SUM_TOLERANCE
    ]
    if loose:
        found.append(f"on the data's own rows probabilities miss {' and '.join(loose)}: so much is let pass everywhere")
    if not subject.exact:
        found.append(
            "the model is called as elsewhere in this package, on private rows and filled batches: no odd forms"
        )
    return found

"""From an interval to a measurement: who was measured, on what, at what cost."""

from collections.abc import Mapping, Sequence

from robust.data.dataset import Dataset
from robust.evidence import Evidence, Fact, Provenance, SelfCheck
from robust.intervals.interval import Interval
from robust.measurement import Measurement
from robust.models.base import Model
from robust.predicting.metering import Meter
from robust.types import FloatArray


def assemble(
    interval: Interval,
    *,
    name: str,
    unit: str,
    higher_is_better: bool | None,
    models: Sequence[Model],
    data: Dataset,
    meter: Meter,
    seed: int | None = None,
    options: Mapping[str, object] | None = None,
    evidence: Sequence[Evidence] = (),
    validity: Sequence[SelfCheck] = (),
    row_values: FloatArray | None = None,
    reach: tuple[float, float] | None = None,
) -> Measurement:
    """Make a measurement of an interval.

    Args:
        interval: Value and bounds; its notes become evidence.
        name: What was measured.
        unit: Unit of the value.
        higher_is_better: Direction, or None.
        models: Models that took part, the one under test first.
        data: Rows that they were measured on.
        meter: What was asked of the models; what it found odd in their answers becomes evidence.
        seed: Seed, where randomness took part.
        options: Options that shape the number.
        evidence: Structured facts.
        validity: Self-checks.
        row_values: One value a row (n,) whose mean is the value, so that two models can be paired on it.
        reach: Smallest and largest value that there can be; None for what the unit says.

    Returns:
        The measurement.
    """
    return Measurement(
        name=name,
        value=interval.value,
        lower=interval.lower,
        upper=interval.upper,
        level=interval.level if interval.level < 1 else 0.95,
        n=interval.n,
        unit=unit,
        higher_is_better=higher_is_better,
        method=interval.method,
        sizing=interval.sizing,
        evidence=(*evidence, *meter.findings(), *(Fact(name="interval", value=note) for note in interval.notes)),
        validity=tuple(validity),
        provenance=Provenance(
            models=tuple((model.name, model.identity() or "") for model in models),
            data=((data.name, data.fingerprint),),
            seed=seed,
            options=tuple((key, repr(value)) for key, value in sorted((options or {}).items())),
            cost=meter.cost(),
        ),
        row_values=row_values,
        reach=reach,
    )

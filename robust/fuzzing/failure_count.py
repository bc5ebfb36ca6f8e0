"""The count of what failed in a fuzz, as a measurement that can be a gate."""

from collections.abc import Sequence

from robust.data.dataset import Dataset
from robust.evidence import Cost, Evidence, Fact, Finding, Provenance, SelfCheck
from robust.fuzzing.campaign import Campaign
from robust.fuzzing.faults import Level
from robust.intervals.exact import exact
from robust.measurement import Measurement
from robust.models.base import Model


def failure_count(
    campaign: Campaign, model: Model, data: Dataset, levels: Sequence[Level], *, n: int, seed: int, spent: float
) -> Measurement:
    """The count; what was not run can only have made it lower."""
    tallies, clock = campaign.tallies, campaign.examiner.asker.clock
    count = exact(
        float(sum(tally.failed for tally in tallies.values())), max(1, sum(tally.rows for tally in tallies.values()))
    )
    lacking = [level for level in levels if not (level in tallies and tallies[level].rows)]
    answered = [level for level in levels if level in tallies and tallies[level].rows > tallies[level].refused]
    checks = (
        SelfCheck(
            name="finished",
            passed=not campaign.interrupted,
            reason="interrupted: only finished batches count" if campaign.interrupted else "every batch was run",
            bias="lowers",
        ),
        SelfCheck(
            name="levels",
            passed=not lacking and bool(answered),
            reason=f"no row was run at the levels {', '.join(lacking)}: a larger n would be right"
            if lacking
            else "rows were answered"
            if answered
            else "the model refused every row",
            bias="lowers",
        ),
    )
    told: list[Evidence] = [
        Finding(text=f"{failing.fault.property}, {level}: {failing.fault.words}")
        for (_, level, _), failing in campaign.failing.items()
    ]
    told += [Fact(name=f"rows {level}", value=tally.rows) for level, tally in tallies.items()]
    told += [Fact(name="largest effect of a batch's size on a row", value=campaign.noise)]
    return Measurement(
        name="failures",
        value=count.value,
        lower=count.lower,
        upper=count.upper,
        n=count.n,
        unit="inputs",
        higher_is_better=False,
        method=count.method,
        sizing=count.sizing,
        evidence=tuple(told),
        validity=checks,
        provenance=Provenance(
            models=((model.name, model.identity() or ""),),
            data=((data.name, data.fingerprint),),
            seed=seed,
            options=(("n", str(n)), ("levels", ", ".join(levels))),
            cost=Cost(forward_rows=clock.rows, seconds=spent),
        ),
        reach=(0.0, float("inf")),
    )

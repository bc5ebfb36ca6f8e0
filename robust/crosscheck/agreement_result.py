"""The answer of `agreement`: a table, a report, and figures with bounds that a gate can rest on."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from robust.crosscheck.agreement_evidence import agreement_evidence, remarks_on
from robust.crosscheck.output_rows import ComparedOutput, OutputRow
from robust.crosscheck.report_text import report_text
from robust.crosscheck.row_intervals import RowSums, cos_interval, l2r_interval, rmse_interval, row_sums
from robust.crosscheck.summary_table import L2R_LIMIT, summary_text, verdict_lines
from robust.crosscheck.tensor_metrics import winners
from robust.crosscheck.worst_output import worst_interval
from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import Fact, Finding, Provenance, SelfCheck
from robust.intervals.clopper_pearson import clopper_pearson
from robust.intervals.interval import Interval, UnboundedSizing
from robust.measurement import Measurement
from robust.measures.row_means import share_interval
from robust.types import AnyArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tensors:
    """Everything that went into the models and came out, in their own types; None where a model was not run.

    Args:
        m_inputs: Inputs of the reference, one array an input.
        m_outputs: Outputs of the reference.
        c_inputs: Inputs of the candidate.
        c_outputs: Outputs of the candidate.
    """

    m_inputs: tuple[AnyArray, ...] | None
    m_outputs: tuple[AnyArray, ...] | None
    c_inputs: tuple[AnyArray, ...]
    c_outputs: tuple[AnyArray, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Agreement:
    """How far two models agree, output by output.

    `.l2r`, `.acc`, `.rmse` and `.cos` are Measurements of the worst output; `.table()` and `.report()` are text;
    `.rows` holds every figure. The figures of the text, and `.close`, are about the samples at hand alone; a gate on a
    Measurement uses its bound, which is about rows not yet seen: ten samples that agree prove nothing.

    Args:
        outputs: Each output, compared.
        tensors: All inputs and outputs, as they were fed and given.
        header: Which models, on what.
        log: How samples were made, and what all tensors are.
        findings: What was seen while the models were asked.
        level: Confidence of each bound.
        seed: Seed of the bootstrap.
        random: Whether the samples were drawn at random.
        itself: Why this is a model compared with itself, or None.
        data: The data set that the samples came from, or None.
        provenance: Hashes, options and cost.
    """

    outputs: tuple[ComparedOutput, ...]
    tensors: Tensors
    header: tuple[str, ...]
    log: tuple[str, ...]
    findings: tuple[Finding, ...]
    level: float
    seed: int
    random: bool
    itself: str | None
    data: Dataset | None
    provenance: Provenance
    # Cells for what is computed once, never arguments.
    _measured: dict[str, Measurement] = field(default_factory=dict, init=False)
    _sums: list[RowSums] = field(default_factory=list, init=False)

    def __repr__(self) -> str:
        lines = verdict_lines(self.rows)
        return f"Agreement({len(self.outputs)} outputs{''.join(f'; {line}' for line in lines)})"

    def __str__(self) -> str:
        return self.table()

    @property
    def rows(self) -> tuple[OutputRow, ...]:
        """All lines of the table."""
        return tuple(row for output in self.outputs for row in output.rows)

    @property
    def n(self) -> int:
        """Samples."""
        return len(self.outputs[0].candidate)

    @property
    def close(self) -> bool:
        """Whether l2r is below 0.01 for every output, on these samples alone.

        Raises:
            InvalidInput: If no reference was run.
        """
        self._want_reference("whether two models are close")
        return all(row.metrics.l2r < L2R_LIMIT for row in self.rows if row.role == "X-cross")

    @property
    def l2r(self) -> Measurement:
        """Largest l2r of all outputs, ‖r − p‖ / (‖p‖ + ε), with bounds; lower is better."""
        return self._worst(
            "l2r",
            [partial(l2r_interval, rows, seed=self.seed) for rows in self._row_sums()],
            unit="relative error",
            higher_is_better=False,
            reach=(0.0, math.inf),
        )

    @property
    def rmse(self) -> Measurement:
        """Largest RMSE of all outputs, in their units, with bounds; lower is better."""
        return self._worst(
            "rmse",
            [partial(rmse_interval, rows, seed=self.seed) for rows in self._row_sums()],
            unit="target",
            higher_is_better=False,
            reach=(0.0, math.inf),
        )

    @property
    def cos(self) -> Measurement:
        """Smallest cosine similarity of all outputs, with bounds, in [−1, 1]; higher is better.

        `INVALID` where an output is 0 everywhere, since that points nowhere.
        """
        sums = self._row_sums()
        nowhere = [i + 1 for i, rows in enumerate(sums) if not rows.reference.any() or not rows.prediction.any()]
        check = SelfCheck(
            name="cosine of zeros",
            passed=not nowhere,
            reason=f"outputs {nowhere} are 0 everywhere in one model" if nowhere else "no output is 0 everywhere",
            bias="either",
        )
        if nowhere:
            return self._undefined("cos", "cosine", check)
        return self._worst(
            "cos",
            [partial(cos_interval, rows, seed=self.seed) for rows in sums],
            unit="cosine",
            higher_is_better=True,
            reach=(-1.0, 1.0),
            checks=(check,),
        )

    @property
    def acc(self) -> Measurement:
        """Smallest share of samples of which both models choose the same class, with bounds; higher is better.

        Raises:
            InvalidInput: If no output holds scores of classes.
        """
        self._want_reference("acc")
        classes = [i for i, output in enumerate(self.outputs) if output.classes]
        if not classes:
            raise InvalidInput(f"acc has no meaning here: {_no_classes(self.outputs)}")
        return self._worst(
            "acc", [partial(self._share, i) for i in classes], unit="share", higher_is_better=True, reach=(0.0, 1.0)
        )

    def table(self) -> str:
        """The summary table."""
        return summary_text(self.rows)

    def report(self) -> str:
        """The whole report as text: sections, confusion matrices, summary table, the l2r of each output."""
        remarks = remarks_on(self.outputs, random=self.random)
        return report_text(self.rows, header=self.header, log=self.log, remarks=remarks)

    def _want_reference(self, what: str) -> None:
        if self.tensors.m_outputs is None:
            raise InvalidInput(f"{what} needs a reference, and none was run")

    def _row_sums(self) -> Sequence[RowSums]:
        """Sums of each row of each output, made once."""
        self._want_reference("an X-cross figure")
        if not self._sums:
            self._sums.extend(
                row_sums(o.reference, o.candidate, probabilities=o.probabilities, data=self.data) for o in self.outputs
            )
        return self._sums

    def _share(self, output: int, *, level: float) -> Interval:
        """Interval of the share of samples that both models give the same class."""
        hits = winners(self.outputs[output].reference) == winners(self.outputs[output].candidate)
        if self.data is not None:
            return share_interval(hits, self.data, level=level, seed=self.seed)
        return clopper_pearson(int(hits.sum()), len(hits), level=level)

    def _worst(
        self,
        figure: str,
        measure: Sequence[Callable[..., Interval]],
        *,
        unit: str,
        higher_is_better: bool,
        reach: tuple[float, float],
        checks: tuple[SelfCheck, ...] = (),
    ) -> Measurement:
        """The worst output's figure as a measurement, made once."""
        if figure not in self._measured:
            interval = worst_interval(
                [lambda level, one=one: one(level=level) for one in measure],  # type: ignore[misc]
                level=self.level,
                higher_is_better=higher_is_better,
            )
            made = self._measurement(figure, interval, unit=unit, checks=(*self._checks(higher_is_better), *checks))
            self._measured[figure] = dataclasses.replace(made, higher_is_better=higher_is_better, reach=reach)
        return self._measured[figure]

    def _undefined(self, figure: str, unit: str, check: SelfCheck) -> Measurement:
        """A measurement of a figure that there is not: judged as `INVALID`."""
        nothing = Interval(
            value=0.0,
            lower=-math.inf,
            upper=math.inf,
            level=self.level,
            n=self.n,
            method="none",
            sizing=UnboundedSizing(),
        )
        return dataclasses.replace(self._measurement(figure, nothing, unit=unit, checks=(check,)), value=math.nan)

    def _measurement(self, figure: str, interval: Interval, *, unit: str, checks: tuple[SelfCheck, ...]) -> Measurement:
        cross = [next(row.metrics for row in output.rows if row.role == "X-cross") for output in self.outputs]
        worst = int(np.argmax([metrics.l2r for metrics in cross]))
        evidence = agreement_evidence(self.outputs, worst=worst, data=self.data, random=self.random)
        return Measurement(
            name=f"X-cross {figure}",
            value=interval.value,
            lower=interval.lower,
            upper=interval.upper,
            level=self.level,
            n=interval.n,
            unit=unit,
            method=interval.method,
            sizing=interval.sizing,
            evidence=(*self.findings, *evidence, *(Fact(name="interval", value=note) for note in interval.notes)),
            validity=checks,
            provenance=self.provenance,
        )

    def _checks(self, higher_is_better: bool) -> tuple[SelfCheck, ...]:
        """Self-checks: are these two models, and are the samples real ones?"""
        same = SelfCheck(
            name="two models",
            passed=self.itself is None,
            reason=self.itself or "the two models differ",
            bias="raises" if higher_is_better else "lowers",
        )
        real = SelfCheck(
            name="representative samples",
            passed=not self.random,
            reason="the inputs are random" if self.random else "the inputs were given",
            bias="none",
        )
        return same, real


def _no_classes(outputs: Sequence[ComparedOutput]) -> str:
    """Why no output is a choice among classes, and what would make it one."""
    if all(output.candidate.shape[1] == 1 for output in outputs):
        return (
            "the outputs hold one number a row, whose largest column is always the same: compare them by rmse or l2r, "
            "and the decisions at a threshold by degradation, or export one column a class"
        )
    return "no output holds class probabilities; if they are scores of classes, say classifier=True"

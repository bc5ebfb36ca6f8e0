"""`robust attack`: how many rows stay right when somebody changes each of them a little, and which break first.

Everything heavy is imported inside the functions: `robust --help` answers at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from robust.commands.attack_options import (
    ATTACKS,
    climbs,
    curve_attack,
    named_attack,
    no_gradients,
    read_amounts,
    read_bound,
    read_grid,
    refuse_beside,
    rows_path,
    write_rows,
)
from robust.commands.attack_text import plain_report, report_text
from robust.commands.saying import say
from robust.commands.schema_file import read_declared, spent_by_cost
from robust.commands.search_path import look_in
from robust.commands.shared_options import rows_and_model_options
from robust.errors import InvalidInput

if TYPE_CHECKING:
    from robust.attacks.adversarial_examples import AttackedRows
    from robust.curve import Curve
    from robust.data.budget import Eps
    from robust.data.dataset import Dataset
    from robust.measurement import Measurement
    from robust.models.base import Model
    from robust.verdict import Verdict

_FAILED, _UNSETTLED = 1, 4
_FOLDER = Path(".robust")
_NORMS = click.Choice(["linf", "l2", "l1"])
_STRENGTHS = click.Choice(["quick", "standard", "thorough"])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttackReport:
    """What the command did.

    Args:
        model: Name of the model.
        accuracy: Robust accuracy.
        rows: The rows behind it.
        eps: The budget.
        chosen: Whether the user chose that budget.
        asked: What was asked for: a strength, or an attack.
        curve: Robust accuracy by budget, or None.
        minimal: The median smallest change, or None.
        verdict: On --limit, or None.
        written: File of the adversarial rows, or None.
        notes: What a reader must know.
    """

    model: str
    accuracy: "Measurement"
    rows: "AttackedRows"
    eps: "Eps"
    chosen: bool
    asked: str
    curve: "Curve | None"
    minimal: "Measurement | None"
    verdict: "Verdict | None"
    written: Path | None
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """1 under the limit, 4 where that is not settled or cannot be believed, 0 otherwise."""
        if self.verdict is None or self.verdict.status == "PASS":
            return 0
        return _FAILED if self.verdict.status == "FAIL" else _UNSETTLED


@click.command("attack")
@click.argument("model")
@click.argument("data")
@click.option("--eps", multiple=True, help="Budget in the data's units: 0.03, 8/255, or NAME=NUMBER. Repeatable.")
@click.option("--norm", type=_NORMS, default="linf", show_default=True, help="Norm of budgets.")
@click.option("--strength", type=_STRENGTHS, help="How strong a cascade.  [default: standard]")
@click.option("--attack", type=click.Choice(sorted(ATTACKS)), help="One attack in place of the cascade.")
@click.option("--surrogate", help="A twin with gradients, where MODEL has none.")
@click.option("--surrogate-factory", help="The same as --factory for the surrogate.")
@click.option("--curve", help="Budgets EPS,EPS,…: robust accuracy at each.")
@click.option("--minimal", is_flag=True, help="The median of the smallest changes that break a row, too.")
@click.option("--limit", help='A gate on robust accuracy, e.g. "> 90%".')
@rows_and_model_options
@click.option("--out", type=click.Path(path_type=Path), help="A .npz file for the adversarial rows: x_adv, ids, y.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of random starts and bootstraps.")
@click.option("--level", type=float, default=0.95, show_default=True, help="Confidence of each one-sided bound.")
@click.option("--no-cache", is_flag=True, help="Neither read nor write .robust/.")
@click.option("--trust", is_flag=True, help="Load model files that can run code, such as pickles.")
def attack_command(as_json: bool, **options: Any) -> int:
    """Attack MODEL, a classifier, on the rows of DATA, which have targets.

    Exit codes: 0 attacked, and within --limit where one was given; 1 robust accuracy is under the limit; 2 usage or
    load error; 4 the limit is not settled by these rows, or a self-check says that a pass cannot be believed.
    """
    from robust.record.json_form import encode

    report = attack_report(**options)
    say(encode(plain_report(report)) if as_json else report_text(report))
    return report.exit_code


def attack_report(
    model: str,
    data: str,
    *,
    eps: tuple[str, ...] = (),
    norm: str = "linf",
    strength: str | None = None,
    attack: str | None = None,
    surrogate: str | None = None,
    surrogate_factory: str | None = None,
    curve: str | None = None,
    minimal: bool = False,
    limit: str | None = None,
    schema: Path | None = None,
    bounds: tuple[float, float] | None = None,
    target: str | None = None,
    unused: tuple[str, ...] = (),
    factory: str | None = None,
    task: str | None = None,
    output: str | None = None,
    batch_size: int | None = None,
    out: Path | None = None,
    seed: int = 0,
    level: float = 0.95,
    no_cache: bool = False,
    trust: bool = False,
) -> AttackReport:
    """Attack a model file.

    Args:
        model: Path of the model.
        data: Path of the rows.
        eps: The budget as it is written; nothing for a small one of the data's own.
        norm: Its norm.
        strength: Of a cascade.
        attack: Name of one attack in its place.
        surrogate: Path of a twin with gradients.
        surrogate_factory: Builds its module.
        curve: Budgets, separated by commas.
        minimal: Whether to look for the smallest changes.
        limit: A gate on robust accuracy.
        schema: File that says what each feature is.
        bounds: Of all features.
        target: Column or key of the targets.
        unused: Columns that the model does not see.
        factory: Builds the module of weights.
        task: What the model does.
        output: What its outputs are.
        batch_size: Rows a call.
        out: Where to write adversarial rows.
        seed: Seed of whatever is random.
        level: Confidence of each bound.
        no_cache: Whether to leave `.robust/` alone.
        trust: Whether files that can run code may be loaded.

    Returns:
        What was found.

    Raises:
        InvalidInput: If options do not fit each other, or something cannot be read or attacked.
    """
    given, grid = read_amounts(eps), None if curve is None else read_grid(curve)
    bound = None if limit is None else read_bound(limit)
    declared = read_declared(schema, bounds)
    refuse_beside(given, bool(declared.costs), minimal=minimal, curve=curve)
    if attack is not None and strength is not None:
        raise InvalidInput("--strength is that of the cascade, which --attack takes the place of: give one of them")
    if surrogate is None and surrogate_factory is not None:
        raise InvalidInput("--surrogate-factory builds the module of --surrogate, which is missing: give both")
    if out is not None:
        rows_path(out, (model, data, surrogate, None if schema is None else str(schema)))
    from robust.data.loading import load_data
    from robust.intervals.arguments import check_level
    from robust.models.loading import load_model
    from robust.predicting.cache import ArrayCache
    from robust.predicting.settings import Settings, using

    check_level(level)
    if factory is not None or surrogate_factory is not None:
        look_in(Path.cwd())
    found = load_model(model, factory=factory, task=task, output=output, batch_size=batch_size, trust=trust)
    twin = None
    if surrogate is not None:
        twin = load_model(surrogate, factory=surrogate_factory, output=output, batch_size=batch_size, trust=trust)
    rows = load_data(data, target=target, schema=declared.spec, unused=unused or None)
    with using(Settings(cache=ArrayCache(folder=None if no_cache else _FOLDER / "cache"))):
        run = _Run(
            data=rows,
            eps=given,
            costs=declared.costs,
            norm=norm,
            attack=attack,
            strength=strength,
            level=level,
            seed=seed,
        )
        return run.report(found, twin, grid=grid, minimal=minimal, bound=bound, out=out)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    """One question about one model: what everything that is measured has in common."""

    data: "Dataset"
    eps: "Eps | None"
    costs: dict[str, float]
    norm: str
    attack: str | None
    strength: str | None
    level: float
    seed: int

    def report(
        self,
        model: "Model",
        twin: "Model | None",
        *,
        grid: list[float] | None,
        minimal: bool,
        bound: tuple[str, float] | None,
        out: Path | None,
    ) -> AttackReport:
        """Measure, and collect the rows behind the figure; what must be refused is refused before any search."""
        from robust.attacks.accuracy_curve import robustness_curve
        from robust.attacks.accuracy_under_attack import robust_accuracy
        from robust.attacks.adversarial_examples import attacked_rows
        from robust.attacks.checks import default_eps
        from robust.attacks.minimal_rows import minimal_perturbation
        from robust.attacks.onnx_gradients import with_own_gradients

        data = self.data
        if len(data) == 0:
            raise InvalidInput(f"{data.name} has no rows to attack")
        data.targets  # noqa: B018 - refuses rows without targets
        needed = "--minimal" if minimal else climbs(self.attack, self.norm) if twin is None else None
        own = with_own_gradients(model, data, wanted=needed is not None)
        if needed is not None and own.gradients is None:
            raise InvalidInput(no_gradients(model.name, needed))
        notes = []
        if twin is not None and (own if self.attack else model).gradients is not None:
            notes.append("the surrogate was not asked: the model has gradients of its own")
        eps = spent_by_cost(default_eps(data) if self.eps is None else self.eps, self.costs, data.schema)
        question: dict[str, Any] = {"eps": eps, "norm": self.norm, "strength": self.strength or "standard"}
        if self.attack is not None:
            question = {"attack": named_attack(self.attack, self.norm, own, twin).at(eps)}
        elif twin is not None and model.gradients is None:
            question["surrogate"] = twin
        m = robust_accuracy(model, data, level=self.level, seed=self.seed, **question)
        line = None
        if grid is not None:
            drawn = (
                curve_attack(own, data, self.norm, twin)
                if self.attack is None
                else named_attack(self.attack, self.norm, own, twin)
            )
            line = robustness_curve(own, data, drawn, eps=grid, level=self.level, seed=self.seed)
        least = None
        if minimal:
            least = minimal_perturbation(own, data, norm=self.norm, level=self.level, seed=self.seed)
        found = attacked_rows(model, data, seed=self.seed, **question)
        if out is not None:
            write_rows(out, found)
        return AttackReport(
            model=model.name,
            accuracy=m,
            rows=found,
            eps=eps,
            chosen=self.eps is not None,
            asked=f"strength {self.strength or 'standard'}" if self.attack is None else repr(question["attack"]),
            curve=line,
            minimal=least,
            verdict=None if bound is None else (m > bound[1] if bound[0] == ">" else m >= bound[1]),
            written=out,
            notes=tuple(notes),
        )

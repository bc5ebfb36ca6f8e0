"""Records: every kind of evidence and sizing comes back as it was, infinities included; the shipped schema fits."""

import ast
import dataclasses
import json
import math
import operator
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest
import torch

import robust.evidence as vocabulary
from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.minimal_rows import minimal_perturbation
from robust.attacks.noise import RandomNoise
from robust.attacks.output_change import largest_output_change
from robust.baselines.skill import gain
from robust.certified.smoothing import smoothed_accuracy
from robust.costing.timing import latency
from robust.crosscheck.x_cross import agreement
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import (
    Example,
    Fact,
    Figure,
    Finding,
    Flips,
    Gallery,
    Picture,
    Rows,
    SelfCheck,
    Series,
    Slice,
    Slices,
    Table,
    Values,
)
from robust.layers.layer_error import layer_errors
from robust.measurement import Measurement
from robust.measures.classification import accuracy, auc, f1, log_loss
from robust.measures.error_quantiles import median_absolute_error
from robust.measures.regression import mae, r2, rmse
from robust.mistakes.grouped_errors import error_groups
from robust.models.conversion import as_model
from robust.operating.f1_search import best_f1
from robust.operating.threshold_rates import at_threshold
from robust.quantization.degradation_paired import degradation
from robust.record import codec
from robust.record.codec import bounded, dump, gate, json_schema, load, measurement
from robust.record.json_form import decode, encode
from robust.record.shape import (
    VERSION,
    Bounded,
    DataInfo,
    Entry,
    Host,
    ModelInfo,
    Noise,
    Record,
    Skipped,
    Times,
)

EVERYTHING = (
    Values(metric="m", reference=0.5, candidate=math.nan),
    Flips(right_to_wrong=3, wrong_to_right=1, n=60, p=0.625, rows=(1, "a", 2)),
    Slices(
        by="site",
        measure="drop",
        level=0.95,
        slices=(
            Slice(name="a", n=3, value=0.1, lower=-math.inf, upper=math.inf, note="few"),
            Slice(name="b", n=30, value=0.1, lower=0.0, upper=0.2),
        ),
    ),
    Rows(what="rows", ids=(1, "b"), values=(0.5, math.nan), total=9),
    Rows(what="none", ids=()),
    Fact(name="p", value=math.nan),
    Fact(name="n", value=3),
    Fact(name="word", value="inf"),
    Finding(text="<script>alert(1)</script> and ünïcode"),
    Figure(
        kind="interval",
        title="t",
        x_title="x",
        y_title="y",
        columns=(
            Series(name="y", values=("a", "b")),
            Series(name="x", values=(0.0, math.nan)),
            Series(name="lower", values=(-math.inf, 0.1)),
            Series(name="upper", values=(math.inf, 0.2)),
        ),
        rules=(("x", 0.0, ""), ("y", 1.5, "limit")),
        note="n",
    ),
    Table(title="t", headings=("row", "change"), rows=(("1", "age 43 → 45"), ("b", "")), note="n", total=7),
    Gallery(
        title="g",
        examples=(
            Example(
                id="a",
                words=("8 → 3", "change 0.01"),
                pictures=(
                    Picture(title="grey", width=2, height=1, channels=1, pixels=b"\x00\xff"),
                    Picture(title="colour", width=1, height=1, channels=3, pixels=b"\x01\x80\xfe"),
                ),
            ),
        ),
        note="n",
        total=3,
    ),
)


def number(**changes):
    fields = {"name": "m", "value": 0.2, "lower": 0.1, "upper": 0.3, "n": 60, "method": "bca-bootstrap"} | changes
    return Measurement(**fields)


def through_json(m):
    return measurement(decode(encode(bounded(m)), Bounded))


def parts(value):
    """Plain data whose NaNs equal themselves."""
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, msgspec.Struct):
        return (type(value).__name__, *(parts(getattr(value, field)) for field in value.__struct_fields__))
    return tuple(parts(item) for item in value) if isinstance(value, tuple) else value


def test_every_kind_of_evidence_is_tried_here():
    kinds = set(vars(vocabulary)["Evidence"].__args__)
    assert {type(part) for part in EVERYTHING} == kinds


@pytest.mark.parametrize("evidence", EVERYTHING, ids=lambda part: type(part).__name__)
def test_evidence_comes_back_as_it_was(evidence):
    m = number(evidence=(evidence,))
    assert parts(through_json(m).evidence) == parts((evidence,))


@pytest.mark.parametrize(
    ("value", "lower", "upper", "kept"),
    [
        (math.inf, 0.3, math.inf, {"value": 1}),
        (math.inf, math.inf, math.inf, {"value": 1, "lower": 1}),
        (-math.inf, -math.inf, 2.0, {"value": -1}),
        (-math.inf, -math.inf, -math.inf, {"value": -1, "upper": -1}),
        (0.2, -math.inf, math.inf, {}),
    ],
)
def test_infinite_values_and_bounds_come_back_with_their_sign(value, lower, upper, kept):
    m = number(value=value, lower=lower, upper=upper, unit="l2 norm")
    assert bounded(m).infinities == kept
    assert b"Infinity" not in encode(bounded(m))
    again = through_json(m)
    assert (again.value, again.lower, again.upper) == (value, lower, upper)
    for limit in (-1.0, 0.25, 1.0):
        assert (again > limit).status == (m > limit).status


def test_a_median_of_changes_that_nothing_breaks_comes_back():
    def logits(x):
        return np.c_[np.zeros(len(x)), np.ones(len(x))]

    still = as_model(
        logits, gradients=lambda x, cotangent: (logits(x), np.zeros_like(x)), output="logits", name="still"
    )
    m = minimal_perturbation(still, as_data(np.arange(60.0)[:, None], np.ones(60, dtype=int)))
    assert m.value == m.lower == math.inf
    assert (through_json(m) > 5.0).status == (m > 5.0).status == "PASS"


def test_a_value_that_is_no_number_stays_none():
    broken = SelfCheck(name="defined", passed=False, reason="0/0", bias="either")
    m = number(value=math.nan, lower=-math.inf, upper=math.inf, validity=(broken,))
    assert bounded(m).infinities == {}
    assert math.isnan(through_json(m).value)


def sizing_classes():
    found = {}
    for home in codec._SIZING_HOMES:
        for name, value in vars(import_module(home)).items():
            if dataclasses.is_dataclass(value) and hasattr(value, "at") and value.__module__ == home:
                found[name] = value
    return found


def tricky(rows=60):
    """Measures of every method, on rows that few models get wrong and on ordinary ones."""
    rng = np.random.default_rng(0)
    y = np.arange(rows) % 2
    p = np.where(y[:, None] == np.arange(2), 0.9, 0.1) + 0.0
    p[:20] = rng.dirichlet(np.ones(2), 20)
    same, near = (
        as_model(lambda x: x, output="probabilities"),
        as_model(lambda x: 0.9 * x + 0.05, output="probabilities"),
    )
    # Ranks some rows otherwise, so that the difference of two areas has a variance.
    shuffled = as_model(
        lambda x: np.column_stack(
            [1 - (0.7 * x[:, 1] + 0.3 * (37 * x[:, 1] % 1)), 0.7 * x[:, 1] + 0.3 * (37 * x[:, 1] % 1)]
        ),
        output="probabilities",
    )
    numbers = as_model(lambda x: x[:, 0], task="regression")
    other = as_model(lambda x: x[:, 0] * 1.1, task="regression")
    target = p[:, 0] + rng.normal(size=rows)
    for given in ({}, {"order": np.arange(rows)}, {"groups": np.arange(rows) // 3}, {"groups": np.arange(rows) // 20}):
        data, values = as_data(p, y, **given), as_data(p, target, **given)
        for measure in (accuracy, f1, log_loss, auc):
            yield measure(same, data)
        for measure in (rmse, mae, r2):
            yield measure(numbers, values)
        for metric in ("accuracy", "f1", "log_loss", "auc"):
            yield degradation(same, near, data, metric=metric)
            yield degradation(same, same, data, metric=metric)
        yield median_absolute_error(numbers, values)
        yield agreement(numbers, other, values).l2r
        yield degradation(same, shuffled, data, metric="auc")
        for metric in ("rmse", "mae", "r2"):
            yield degradation(numbers, other, values, metric=metric)
            yield degradation(numbers, numbers, values, metric=metric)
        curve = robustness_curve(same, data, RandomNoise(), eps=[0.1, 0.3, 0.6])
        yield curve.area()
        yield curve.margin([0.4, 0.3, 0.2])
        for quantile in (0.5, 0.95, None):
            yield largest_output_change(numbers, values, eps=0.1, quantile=quantile, strength="quick")
        yield smoothed_accuracy(same, data, eps=0.05, draws=100)
        train = as_data(p + 0.01 * rng.normal(size=p.shape), y)
        yield gain(same, train, data)
    constant = as_data(p, np.zeros(rows))
    yield degradation(as_model(lambda x: 0 * x[:, 0], task="regression"), numbers, constant, metric="rmse")
    plain = as_data(p, y, slices={"half": np.arange(rows) < rows // 2})
    yield error_groups(same, plain)
    # Two outputs: the bounds of the worst.
    yield agreement(lambda x: (x[:, :1], x[:, 1:]), lambda x: (0.9 * x[:, :1], x[:, 1:] + 0.01), p).l2r
    yield best_f1(same, plain)
    yield from at_threshold(same, plain, 0.5)
    yield latency(lambda x: x, p, runs=12, warmup=0)
    # One row of a class: no variance, no bounds, whatever the number of rows.
    yield auc(same, as_data(p, (np.arange(rows) == 0).astype(int)))
    yield 2 - 3 * f1(same, as_data(p, y))
    yield number(sizing=None, level=0.9, unit="°C", higher_is_better=True)
    yield number(method="exact", lower=0.2, upper=0.2)
    yield number(lower=-math.inf, upper=math.inf)
    nets = [torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2)) for _ in range(2)]
    nets[1].load_state_dict({key: value + 1e-3 for key, value in nets[0].state_dict().items()})
    yield layer_errors(*nets, np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)).sqnr


@pytest.fixture(scope="module")
def measured():
    return list(tricky())


def packed_classes(packed):
    yield packed["class"]
    for value in packed.values():
        for part in value if isinstance(value, list | tuple) else [value]:
            if isinstance(part, dict):
                yield from packed_classes(part)


def test_every_sizing_of_the_package_has_a_home():
    parts = ("", ".attacks", ".sensitivity", ".residuals", ".baselines")
    folders = {Path(folder) for part in parts for folder in import_module(f"robust{part}").__path__}
    named = {
        node.name
        for folder in folders
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        for method in node.body
        if isinstance(method, ast.FunctionDef)
        and method.name == "at"
        and [a.arg for a in method.args.args][1:] == ["n"]
    }
    assert named - {"Sizing"} == set(sizing_classes()) - {"Sizing"}


def test_every_kind_of_sizing_is_tried_here(measured):
    seen = {name for m in measured if m.sizing is not None for name in packed_classes(bounded(m).sizing)}
    # The exact sizing belongs to counts, which no measure here gives.
    assert seen == set(sizing_classes()) - {"ExactSizing", "Sizing"}


def outcome(compare, m, limit):
    """A verdict in words, or why the limit is refused."""
    try:
        verdict = compare(m, limit)
    except InvalidInput as error:
        return str(error)
    return verdict.line(), verdict.reason, verdict.needed_n


def test_measurements_come_back_with_the_same_verdicts(measured):
    for m in measured:
        back = through_json(m)
        for field in ("name", "lower", "upper", "level", "n", "unit", "higher_is_better", "method", "validity"):
            assert getattr(back, field) == getattr(m, field), field
        assert parts((back.value,)) == parts((m.value,))
        assert parts(back.evidence) == parts(m.evidence)
        assert back.sizing == m.sizing
        assert back.provenance.models == m.provenance.models
        assert back.reach == m.reach
        for limit in (-1.0, 0.0, 0.01, 0.5, 0.99, 1.0, 3.0):
            assert outcome(operator.lt, m, limit) == outcome(operator.lt, back, limit)
            assert outcome(operator.ge, m, limit) == outcome(operator.ge, back, limit)


def test_a_limit_that_decides_nothing_is_still_refused():
    x, y = np.linspace(0.1, 0.9, 40)[:, None], np.arange(40) % 2
    classes, numbers = as_model(lambda x: x, output="probabilities"), as_model(lambda x: x[:, 0], task="regression")
    for m in (log_loss(classes, (x, y)), rmse(numbers, (x, y))):
        for found in (m, through_json(m)):
            with pytest.raises(InvalidInput, match=r">= 0 decides nothing: it is at least 0"):
                _ = found >= 0
    worse = through_json(
        degradation(numbers, as_model(lambda x: 1 - x[:, 0], task="regression"), (x, y), metric="rmse")
    )
    with pytest.raises(InvalidInput, match=r"> -1 decides nothing: it is at least -1 \(relative\)"):
        _ = worse > -1


def test_scalars_of_numpy_are_written_as_numbers():
    m = number(
        value=np.float64(0.2),
        n=np.int64(60),
        evidence=(Fact(name="n", value=np.int64(3)), Rows(what="r", ids=(np.int64(3), np.str_("a")))),
    )
    back = through_json(m)
    assert (back.value, back.n) == (0.2, 60)
    assert back.evidence == (Fact(name="n", value=3), Rows(what="r", ids=(3, "a")))


def test_what_is_no_data_is_refused():
    with pytest.raises(NotImplementedError, match="a record cannot hold a function"):
        encode({"f": parts})


def test_a_sizing_that_nobody_knows_is_refused():
    with pytest.raises(InvalidInput, match="a record names an unknown sizing 'os.system'"):
        measurement(msgspec.structs.replace(bounded(number()), sizing={"class": "os.system"}))


def test_a_verdict_as_the_record_keeps_it():
    verdict = number(sizing=None) < 0.25
    kept = gate("loss", verdict)
    assert (kept.name, kept.operator, kept.limit, kept.status) == ("loss", "<", 0.25, "INCONCLUSIVE")
    assert (kept.decided_by, kept.bound) == ("upper", 0.3)
    assert kept.margin == pytest.approx(-0.05)
    assert kept.reason == verdict.reason
    unbounded = gate("loss", number(lower=-math.inf, upper=math.inf) < 0.25)
    assert (unbounded.bound, unbounded.margin) == (None, None)


# --- the file -------------------------------------------------------------------------------------------------


def record(entries=()):
    return Record(
        version=VERSION,
        robust="0.1.0",
        title="t",
        task="regression",
        level=0.95,
        seed=0,
        decide="bound",
        models=(
            ModelInfo(
                role="candidate",
                name="m",
                framework="onnx",
                sha256="ab",
                noise=Noise(rows=2, decisions_changed=0, largest_difference=1e-9),
            ),
            ModelInfo(role="reference", name="r", framework="onnx", sha256="cd"),
        ),
        data=(
            DataInfo(
                role="test",
                name="d",
                sha256="cd",
                rows=60,
                row_shape=(2,),
                features=("a", "b"),
                unused=(),
                slices=("s",),
                ordered=True,
                grouped=False,
            ),
        ),
        entries=tuple(entries),
        skipped=(Skipped(code="RES001", name="n", title="t", reason="needs order", gated=True),),
        host=Host(python="3.11", platform="p", processor="c", cpu_features=("avx2",), packages=(("numpy", "2"),)),
        exit_code=1,
        interrupted=False,
        times=Times(started="2026-01-01T00:00:00+00:00", seconds=1.5, checks=(("m", 0.5),), from_cache=("m",)),
    )


@pytest.fixture(scope="module")
def full(measured):
    everything = number(evidence=EVERYTHING, validity=(SelfCheck(name="n", passed=False, reason="r", bias="either"),))
    entries = [
        Entry(code="MET001", name=m.name, title="t", measurement=bounded(m), gate=gate("g", m < 0.5))
        for m in (*measured, everything)
    ]
    return record(entries)


def test_a_record_is_read_as_it_was_written(full, tmp_path):
    path = tmp_path / "record.json"
    path.write_bytes(dump(full))
    assert parts(load(path)) == parts(full)
    assert dump(load(path)) == path.read_bytes()


def test_it_is_json_that_anybody_can_read(full):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    assert json.loads(dump(full), parse_constant=refuse)["version"] == 1


def test_the_shipped_schema_is_the_one_of_the_classes():
    shipped = files("robust.record").joinpath(f"schema-{VERSION}.json").read_bytes()
    assert shipped == json_schema(), "write it again: make schema"


def test_a_real_record_obeys_the_schema(full):
    schema = json.loads(json_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(dump(full)))


@pytest.mark.parametrize("change", [{"version": "1"}, {"exit_code": None}, {"entries": [{}]}, {"task": "clustering"}])
def test_the_schema_refuses_what_is_no_record(full, change):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(dump(full)) | change, json.loads(json_schema()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as a record"),
        (b"{", "cannot be read as a record"),
        (b"\xff\xfe", "cannot be read as a record"),
        (b"[]", "is no record of version 1"),
        (b"{}", "is no record of version 1"),
        (b'{"version": 2}', "is no record of version 1"),
        (b'{"version": 1}', "cannot be read as a record: .*missing required field"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path, content, message):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        load(path)


def test_a_missing_record(tmp_path):
    with pytest.raises(InvalidInput, match="cannot be read as a record"):
        load(tmp_path / "none.json")

"""Calls of a model: blocks, padding, checks, the cache, shards; and models that break each rule."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from robust.data.live import as_data
from robust.errors import InvalidInput, ModelFault
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.predicting.cache import ArrayCache
from robust.predicting.calling import bind
from robust.predicting.predictions import predict
from robust.predicting.settings import Settings, using


def rows(n=10, d=3):
    return np.random.default_rng(0).normal(size=(n, d))


def outputs(model, x, *, keep=False):
    model = model if isinstance(model, Model) else as_model(model, name="m")
    return bind(model, as_data(x).schema).outputs(as_data(x).x, keep=keep)


def recorder(sizes, **options):
    def forward(x):
        sizes.append(len(x))
        return x.sum(axis=1)

    return Model(name="m", framework="callable", forward=forward, **options)


def test_batches_and_a_fixed_batch():
    x, sizes = rows(10), []
    np.testing.assert_array_equal(outputs(recorder(sizes, batch_size=4), x)[:, 0], x.sum(axis=1))
    assert sizes == [4, 4, 2]
    sizes.clear()
    np.testing.assert_array_equal(outputs(recorder(sizes, fixed_batch=4, batch_size=256), x)[:, 0], x.sum(axis=1))
    assert sizes == [4, 4, 4]


@pytest.mark.parametrize(("shape", "width"), [((), 1), ((2,), 2), ((2, 1, 1), 2), ((1, 1, 3), 3)])
def test_outputs_are_float64_rows(shape, width):
    found = outputs(lambda x: np.ones((len(x), *shape), dtype=np.float32), rows(5))
    assert (found.shape, found.dtype) == ((5, width), np.float64)


def in_place(x):
    x += 1
    return x


def fails_on(row):
    def forward(x):
        if (np.abs(x - row).max(axis=1) == 0).any():
            raise RuntimeError("bad row\nwith details")
        return x[:, 0]

    return forward


def raising(error):
    def forward(x):
        raise error

    return forward


class Complex(torch.nn.Module):
    def forward(self, x):
        return x * 1j


def with_nan(x):
    return np.where(x[:, 0] == rows(10)[7, 0], np.nan, x[:, 0])


class Drifting:
    """Another answer at each call."""

    def __init__(self, make):
        self.calls, self.make = 0, make

    def __call__(self, x):
        self.calls += 1
        return self.make(x, self.calls)


BROKEN = [
    (in_place, r"m: it changes its input in place"),
    (torch.nn.Hardtanh(-9, 9, inplace=True), r"m: it changes its input in place"),
    (fails_on(rows(10)[6]), r"m raised RuntimeError: bad row on the row at position 6"),
    (lambda x: 1 / 0, r"m raised ZeroDivisionError: .* on the row at position 0"),
    (lambda x: sys.exit(0), r"m raised SystemExit: 0 on the row at position 0"),
    (raising(pytest.skip.Exception("later")), r"m raised Skipped: later on the row at position 0"),
    (raising(GeneratorExit()), r"m raised GeneratorExit on the row at position 0"),
    (lambda x: x * 1j, r"m: it gives outputs of type complex128, real numbers are needed"),
    (lambda x: x.astype("datetime64[s]"), r"m: it gives outputs of type datetime64\[s\], real numbers are needed"),
    (Complex(), r"m: it gives outputs of type torch.complex64, real numbers are needed"),
    (with_nan, r"NaN or infinity for 1 of \d+ rows, first at position 7"),
    (lambda x: x[:, 0] * np.inf, r"NaN or infinity for 4 of 4 rows, first at position 0"),
    (lambda x: x[:-1, 0], r"outputs of shape \(3,\) for 4 rows; \(4, k\)"),
    (lambda x: 1.0, r"outputs of shape \(\) for 4 rows"),
    (lambda x: np.zeros((len(x), 0)), r"outputs of shape \(4, 0\) for 4 rows"),
    (lambda x: None, r"outputs of shape \(\)"),
    (lambda x: np.zeros((len(x), 10, 2)), r"m: it gives outputs of shape \(4, 10, 2\) for 4 rows; \(4, k\) is needed"),
    (lambda x: [[1.0], [1.0, 2.0]], r"m raised ValueError: "),
    (lambda x: np.zeros((len(x), len(x))), r"outputs of different widths \[2, 4\] for different rows"),
    (Drifting(lambda x, call: x[:, 0] + call), r"m is not deterministic: the same 4 rows .* differ by up to 3"),
    (Drifting(lambda x, call: np.zeros((len(x), 1 + (call > 3)))), r"outputs of shape \(4, 1\), then \(4, 2\)"),
]


@pytest.mark.parametrize(("forward", "message"), BROKEN)
def test_a_model_that_breaks_its_contract_is_refused(forward, message):
    with pytest.raises(ModelFault, match=message):
        outputs(as_model(forward, name="m", batch_size=4), rows(10), keep=True)


class Hostile(torch.nn.Linear):
    """Runs code of its own where a module is only looked at."""

    def __init__(self, method, error):
        super().__init__(3, 2)
        self.method, self.error = method, error

    def modules(self):
        if getattr(self, "method", "") == "modules":
            raise self.error
        return super().modules()

    def named_parameters(self, *arguments, **named):
        if getattr(self, "method", "") == "named_parameters":
            raise self.error
        return super().named_parameters(*arguments, **named)


@pytest.mark.parametrize("error", [SystemExit(0), RuntimeError("no"), GeneratorExit()], ids=repr)
@pytest.mark.parametrize("method", ["modules", "named_parameters"])
def test_a_module_that_raises_where_it_is_only_looked_at(method, error):
    with pytest.raises(ModelFault, match="^m raised .*" + type(error).__name__):
        predict(as_model(Hostile(method, error), name="m"), as_data(rows()))
    unhashable = Model(name="m", framework="torch", forward=len, identity=lambda: raising(error)(None))
    with pytest.raises(ModelFault, match="^m raised while its content was hashed: " + type(error).__name__):
        predict(unhashable, as_data(rows()))


def test_an_interrupt_is_no_fault():
    for module in (Hostile("modules", KeyboardInterrupt()), Hostile("named_parameters", KeyboardInterrupt())):
        with pytest.raises(KeyboardInterrupt):
            predict(as_model(module), as_data(rows()))
    with pytest.raises(KeyboardInterrupt):
        outputs(raising(KeyboardInterrupt()), rows())


def test_one_row_more_than_a_batch_is_named_by_its_own_position():
    # Fails only for batches of several rows: no single row is to blame.
    def forward(x):
        if len(x) > 1:
            raise RuntimeError("one at a time")
        return x[:, 0]

    with pytest.raises(ModelFault, match=r"on rows 0 to 3 \(not on each alone\)"):
        outputs(as_model(forward, batch_size=4), rows(10))


def test_rounding_is_no_indeterminism_and_unkept_answers_are_not_asked_twice():
    noisy = Drifting(lambda x, call: x[:, 0] + 1e-7 * call)
    outputs(as_model(noisy, batch_size=4), rows(10), keep=True)
    assert noisy.calls == 4
    outputs(as_model(noisy, batch_size=4), rows(10))
    assert noisy.calls == 7


def test_numbers_are_needed():
    model = Model(name="m", framework="torch", forward=lambda x: np.array(["cat"] * len(x)))
    with pytest.raises(ModelFault, match=r"outputs of type <U3, real numbers are needed"):
        outputs(model, rows())


def test_zero_rows_are_refused():
    schema = as_data(rows()).schema
    with pytest.raises(InvalidInput, match="m was asked about zero rows"):
        bind(as_model(len, name="m"), schema).outputs(np.empty((0, 3)))


def test_what_an_adapter_refuses_is_the_inputs_fault():
    def forward(x):
        raise InvalidInput("rows of shape (4,) are needed")

    with pytest.raises(InvalidInput, match=r"m: rows of shape \(4,\) are needed"):
        outputs(Model(name="m", framework="onnx", forward=forward), rows())


def test_the_callers_rows_stay_as_they_are():
    x = rows()
    before = x.copy()
    with pytest.raises(ModelFault):
        outputs(in_place, x)
    np.testing.assert_array_equal(x, before)


# --- the cache ----------------------------------------------------------------------------------------------


def counting(identity):
    sizes = []
    return recorder(sizes, identity=lambda: identity), sizes


def test_kept_answers_are_not_computed_again(tmp_path):
    x = rows()
    model, sizes = counting("same")
    with using(Settings(cache=ArrayCache(tmp_path))):
        first = outputs(model, x, keep=True)
        asked = len(sizes)
        again = outputs(model, x, keep=True)
    assert len(sizes) == asked
    np.testing.assert_array_equal(first, again)
    with using(Settings(cache=ArrayCache(tmp_path))):
        np.testing.assert_array_equal(outputs(model, x, keep=True), first)
        assert len(sizes) == asked
        outputs(counting("other")[0], x, keep=True)
        changed = x.copy()
        changed[3, 1] = np.nextafter(changed[3, 1], 9)
        outputs(model, changed, keep=True)
    assert len(sizes) > asked


def test_callables_are_never_kept():
    calls = Drifting(lambda x, _: x[:, 0])
    with using(Settings(cache=ArrayCache())):
        for _ in range(2):
            outputs(calls, rows(), keep=True)
    assert calls.calls == 4  # once to answer, once to repeat, both times


def test_a_live_module_that_changed_answers_anew():
    module = torch.nn.Linear(3, 2)
    with using(Settings(cache=ArrayCache())):
        first = outputs(module, rows(), keep=True)
        with torch.no_grad():
            module.bias += 1
        assert not np.allclose(outputs(module, rows(), keep=True), first)


def frame(cities):
    return pd.DataFrame({"city": cities, "size": np.arange(len(cities), dtype=float)})


def pipeline():
    train = frame(["Rom", "Bonn", "Oslo"] * 10)
    codes = (train["city"] == "Rom").astype(int)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).set_output(transform="default")
    return make_pipeline(encoder, LogisticRegression()).fit(train, codes)


def test_a_model_of_columns_gets_labels_whatever_their_codes():
    model = as_model(pipeline())
    few, all_three = as_data(frame(["Rom", "Oslo"])), as_data(frame(["Rom", "Oslo", "Bonn"]))
    assert few.x[0, 0] != all_three.x[0, 0]  # Rom has another code
    one, other = predict(model, few), predict(model, all_three)
    np.testing.assert_array_equal(one.outputs, other.outputs[:2])
    np.testing.assert_allclose(one.outputs, pipeline().predict_proba(frame(["Rom", "Oslo"])), atol=1e-12)


def test_a_missing_text_reaches_the_model_as_missing():
    seen = []
    estimator = pipeline()

    def forward(table):
        seen.append(table["city"].tolist())
        return estimator.predict_proba(table)

    model = Model(name="m", framework="sklearn", forward=forward, columns=("city", "size"))
    predict(model, as_data(frame(["Rom", None, "Bonn"])))
    assert seen[0][0] == "Rom"
    assert isinstance(seen[0][1], float)
    assert np.isnan(seen[0][1])


def test_equal_numbers_under_other_names_are_not_answered_from_the_cache():
    x = np.random.default_rng(0).normal(size=(40, 2))
    train = pd.DataFrame(x, columns=["a", "b"])
    model = as_model(LogisticRegression().fit(train, (train["a"] > 0).astype(int)))
    with using(Settings(cache=ArrayCache())):
        straight = predict(model, as_data(pd.DataFrame(x, columns=["a", "b"]))).outputs
        swapped = predict(model, as_data(pd.DataFrame(x, columns=["b", "a"]))).outputs
    assert not np.allclose(straight, swapped)


def test_columns_that_the_data_lacks_are_named():
    with pytest.raises(InvalidInput, match=r"fitted on columns that the data lacks: \['city', 'size'\]; it has \['x0'"):
        predict(as_model(pipeline()), as_data(np.zeros((3, 2))))


# --- gradients ----------------------------------------------------------------------------------------------


def quadratic(x, cotangent):
    values = (x**2).sum(axis=1, keepdims=True)
    return values, 2 * x * cotangent(values)


def test_gradients_by_block_with_the_rows_that_they_are_of():
    x, seen = rows(10), []

    def cotangent(values, block):
        seen.append((len(values), block))
        return np.arange(block.start, block.stop, dtype=float)[:, None]

    model = as_model(lambda x: (x**2).sum(axis=1), gradients=quadratic, batch_size=4)
    values, slope = bind(model, as_data(x).schema).gradient(x, cotangent)
    np.testing.assert_allclose(values[:, 0], (x**2).sum(axis=1))
    np.testing.assert_allclose(slope, 2 * x * np.arange(10)[:, None])
    assert seen == [(4, slice(0, 4)), (4, slice(4, 8)), (2, slice(8, 10))]


def test_gradients_of_a_fixed_batch_are_those_of_the_rows_alone():
    sizes = []

    def fixed(x, cotangent):
        sizes.append(len(x))
        return quadratic(x, cotangent)

    x = rows(10)
    model = Model(name="m", framework="torch", forward=lambda x: x, fixed_batch=4, gradients=fixed)
    values, slope = bind(model, as_data(x).schema).gradient(x, lambda values, block: np.ones((len(values), 1)))
    np.testing.assert_allclose(slope, 2 * x)
    assert sizes == [4, 4, 4]
    assert len(values) == 10


def hostile(x, cotangent):
    values, slope = quadratic(x, cotangent)
    x[:] = 0
    return values, slope


def test_a_gradient_cannot_change_the_callers_rows():
    x = rows()
    before = x.copy()
    bind(as_model(len, gradients=hostile), as_data(x).schema).gradient(x, lambda v, _: np.ones_like(v))
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        (lambda x, c: (c(np.ones((len(x), 1))), x[0]), r"gives a gradient of shape \(3,\)"),
        (lambda x, c: 1 / 0, r"raised while its gradient was taken: ZeroDivisionError"),
        (lambda x, c: raising(GeneratorExit())(x), r"raised while its gradient was taken: GeneratorExit"),
    ],
)
def test_a_gradient_of_another_shape_or_an_error_is_a_fault(gradients, message):
    model = as_model(len, name="m", gradients=gradients)
    with pytest.raises(ModelFault, match=message):
        bind(model, as_data(rows()).schema).gradient(rows(), lambda v, _: np.ones_like(v))


def test_gradients_are_held_to_the_same_shape_of_outputs():
    def shaped(shape):
        def gradients(x, cotangent):
            values = np.ones((len(x), *shape)) * x.sum(axis=1).reshape(-1, *(1 for _ in shape))
            return values, np.full(x.shape, cotangent(values).reshape(len(x), -1).sum(axis=1, keepdims=True))

        return bind(as_model(len, name="m", gradients=gradients), as_data(rows()).schema)

    flat = shaped((3,)).gradient(rows(), lambda values, _: values)
    long = shaped((1, 1, 3)).gradient(rows(), lambda values, _: values)
    for one, other in zip(flat, long, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(
        ModelFault, match=r"m: it gives outputs of shape \(10, 10, 2\) for 10 rows; \(10, k\) is needed"
    ):
        shaped((10, 2)).gradient(rows(), lambda values, _: values)
    with pytest.raises(ModelFault, match=r"m: it changes its input in place"):
        bind(as_model(torch.nn.ReLU(inplace=True), name="m"), as_data(rows()).schema).gradient(
            rows(), lambda values, _: values
        )


def test_a_model_without_gradients_says_what_can_be_done():
    with pytest.raises(InvalidInput, match="gives no gradients"):
        bind(as_model(len, name="m"), as_data(rows()).schema).gradient(rows(), lambda v, _: v)

import numpy as np
import pytest

from robust.attacks.output_slopes import differenced, few_features
from robust.attacks.output_target import OutputTarget, aim_outputs, signs_of
from robust.attacks.projection import space_of
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model

X = np.random.default_rng(0).normal(size=(12, 3))
W = np.array([[1.0, -2.0], [0.5, 3.0], [0.0, 1.0]])


def gradients(x, cotangent):
    outputs = x @ W
    return outputs, cotangent(outputs) @ W.T


def model(**options):
    return as_model(lambda x: x @ W, gradients=gradients, task="regression", name="plane", **options)


def target(output, sign, **options):
    return aim_outputs(model(), as_data(X), output=output).target(output, sign, **options)


@pytest.mark.parametrize("output", [0, 1])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_margins_are_changes_the_way_that_is_asked_for(output, sign):
    aimed, moved = target(output, sign), X + 0.3
    change = sign * 0.3 * W[:, output].sum()
    assert aimed.changes(moved) == pytest.approx(np.full(12, change))
    assert aimed.margins(aimed.scores(moved), slice(None)) == pytest.approx(np.full(12, change))
    scores, slope = aimed.gradient(moved, slice(None))
    assert slope == pytest.approx(np.tile(sign * W[:, output], (12, 1)))
    assert scores[:, 1] - scores[:, 0] == pytest.approx(np.full(12, change))


def test_rows_are_broken_where_they_moved_far_enough_and_patient_ones_never():
    moved = X + np.linspace(0, 1, 12)[:, None]  # output 0 rises by 1.5 of the step
    asked, patient = target(0, 1.0, by=0.75), target(0, 1.0)
    far = 1.5 * np.linspace(0, 1, 12) >= 0.75
    assert (asked.wrong(asked.scores(moved), slice(None)) == far).all()
    assert not patient.wrong(patient.scores(moved), slice(None)).any()


def test_parts_keep_their_own_rows():
    keep = np.array([7, 2])
    part = target(1, -1.0, by=0.5).part(keep)
    assert isinstance(part, OutputTarget)
    assert part.base == pytest.approx((X @ W)[keep, 1])
    assert part.changes(X[keep]) == pytest.approx([0.0, 0.0])


def test_each_output_way_and_amount_is_kept_apart_by_content():
    from sklearn.linear_model import LinearRegression

    found = aim_outputs(as_model(LinearRegression().fit(X, X @ W)), as_data(X), output=None)
    targets = [found.target(j, sign, by=by) for j in (0, 1) for sign in (1.0, -1.0) for by in (0.0, 1.0)]
    assert len({one.caller.identity for one in targets}) == 8


def test_differences_are_slopes_and_keep_to_bounds_and_steps():
    schema = {"x0": {"bounds": (-9, 9)}, "x1": {"immutable": True}}
    aimed = aim_outputs(model(), as_data(X, schema=schema), output=1).target(1, -1.0)
    space = space_of(aimed.data.schema, X.dtype, eps=np.array([0.1, 0.0, 2.0]), norm="l2")
    scores, slope = differenced(aimed, space).gradient(X, slice(None))
    assert slope == pytest.approx(np.tile([2.0, 0.0, -1.0], (12, 1)))
    assert scores[:, 0] == pytest.approx(scores[:, 1])
    seen = []

    def spy(x):
        seen.append(x.copy())
        return x.sum(axis=1)

    whole = np.array([[0, 0.0], [1, 0.95], [5, 1.0]])
    given = as_data(whole, schema={"x0": {"kind": "integer", "bounds": (0, 5)}, "x1": {"bounds": (0, 1)}})
    aimed = aim_outputs(as_model(spy, task="regression"), given, output=None).target(0, 1.0)
    space = space_of(given.schema, whole.dtype, eps=np.array([3.0, 0.8]), norm="linf")
    assert differenced(aimed, space).gradient(whole, slice(None))[1] == pytest.approx(np.ones((3, 2)))
    asked = np.concatenate(seen)
    assert (asked[:, 0] == np.rint(asked[:, 0])).all()
    assert asked.min() >= 0
    assert asked[:, 1].max() <= 1
    assert few_features(space)


def test_several_outputs_and_their_names():
    data = as_data(X)
    assert aim_outputs(model(), data, output=None).outputs == (0, 1)
    assert aim_outputs(model(), data, output="output 2 of 2").outputs == (1,)
    assert aim_outputs(model(), data, output=np.int64(1)).outputs == (1,)
    for wrong in (2, -1, "second", 1.0, True):
        with pytest.raises(InvalidInput, match="output got .*one of 0 … 1"):
            aim_outputs(model(), data, output=wrong)
    wide = as_model(lambda x: np.tile(x, (1, 6)), task="regression")
    with pytest.raises(InvalidInput, match="18 outputs, each of which would be attacked by itself"):
        aim_outputs(wide, data, output=None)
    assert aim_outputs(wide, data, output=17).outputs == (17,)


def test_classifiers_and_rows_outside_their_bounds_are_refused():
    decides = as_model(lambda x: np.c_[x[:, 0], -x[:, 0]], output="logits", name="sign")
    with pytest.raises(InvalidInput, match="sign is a classification model: robust_accuracy"):
        aim_outputs(decides, as_data(X, (X[:, 0] < 0).astype(int)), output=None)
    with pytest.raises(InvalidInput, match="breaks its schema"):
        aim_outputs(model(), as_data(X, schema={"bounds": (0, 1)}), output=None)


def test_robust_accuracy_names_the_function_for_regressions():
    from robust.attacks.accuracy_under_attack import robust_accuracy

    with pytest.raises(InvalidInput, match=r"needs a classifier.*largest_output_change\(model, data, eps=…\)"):
        robust_accuracy(model(), as_data(X, X @ W), eps=0.1)


@pytest.mark.parametrize("direction", ["left", None, 1])
def test_other_directions_are_refused(direction):
    with pytest.raises(InvalidInput, match="'both', 'up' or 'down'"):
        signs_of(direction)

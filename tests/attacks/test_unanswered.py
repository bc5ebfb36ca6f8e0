"""Rows that a model gives no answer for are wrong, and named; those that an attack makes so are broken."""

import warnings
from dataclasses import fields

import numpy as np
import pytest

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.adversarial_examples import attacked_rows
from robust.attacks.apgd import APGD
from robust.attacks.bim import BIM
from robust.attacks.boundary import Boundary
from robust.attacks.ddn import DDN
from robust.attacks.deepfool import DeepFool
from robust.attacks.fgsm import FGSM
from robust.attacks.fmn import FMN
from robust.attacks.hop_skip_jump import HopSkipJump
from robust.attacks.minimal_rows import minimal_perturbation
from robust.attacks.noise import RandomNoise
from robust.attacks.output_change import largest_output_change
from robust.attacks.output_least import minimal_perturbation_for_change
from robust.attacks.pgd import PGD
from robust.attacks.random_search import RandomSearch
from robust.attacks.square import Square
from robust.data.live import as_data
from robust.errors import ModelFault
from robust.evidence import Finding, Rows
from robust.measures.classification import accuracy
from robust.models.conversion import as_model

# f(x) = x: above 0 it is class 1. Rows at -3 … 3 but 0, in the middle of a class or 0.5 from its end.
X = np.array([[-3.0], [-2.0], [-0.5], [0.5], [2.0], [3.0]])
Y = [0, 0, 0, 1, 1, 1]
IDS = ["a", "b", "c", "d", "e", "f"]


def data(**schema):
    return as_data(X, Y, ids=IDS, schema={"bounds": (-5, 5), **schema})


class Edgy:
    """Logits (-x, x), which raises, or gives NaN, where `odd` says so."""

    def __init__(self, odd, *, raises=True):
        self.odd, self.raises = odd, raises

    def forward(self, x):
        odd = self.odd(np.asarray(x)[:, 0])
        if self.raises and odd.any():
            raise ValueError("no answer there")
        outputs = np.hstack([-x, x]).astype(float)
        outputs[odd] = np.nan
        return outputs

    def gradients(self, x, cotangent):
        outputs = self.forward(x)
        flow = cotangent(outputs)
        return outputs, flow[:, 1:] - flow[:, :1]


def made(odd, **options):
    edgy = Edgy(odd, **options)
    return as_model(edgy.forward, gradients=edgy.gradients, output="logits", name="edgy")


def at_two(x):
    return x == 2.0


def beyond(x):
    return (x > 2.2) & (x < 2.9)


ATTACKS = [FGSM(eps=1.0), PGD(eps=1.0, steps=3), RandomNoise(eps=1.0, draws=50), Square(eps=1.0, queries=50)]


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("attack", [*ATTACKS, HopSkipJump(eps=1.0), None], ids=repr)
def test_a_row_without_an_answer_is_wrong_and_the_others_go_on(attack, raises):
    m = robust_accuracy(made(at_two, raises=raises), data(), **({"eps": 1.0} if attack is None else {"attack": attack}))
    # Rows at ±0.5 break, the one at 2 has no answer.
    assert m.row_values.tolist() == [1, 1, 0, 0, 0, 1]
    findings = [one.text for one in m.evidence if isinstance(one, Finding)]
    did = "raises ValueError: no answer there" if raises else "gives NaN or infinity"
    assert findings[0] == f"edgy {did} on 1 of 6 rows as they are: they count as wrong"
    named = next(one for one in m.evidence if isinstance(one, Rows))
    assert (named.what, named.ids, named.total) == ("rows without an answer (counted as wrong)", ("e",), 1)
    assert not any("adversarial form" in text for text in findings)


@pytest.mark.parametrize("raises", [True, False])
def test_a_row_that_an_attack_leads_to_no_answer_is_broken(raises):
    # The row at 2 meets no answer between 2.2 and 2.9, that at 3 too; both are far from the other class.
    model = made(beyond, raises=raises)
    m = robust_accuracy(model, data(), attack=RandomNoise(eps=1.0, draws=100))
    assert m.row_values.tolist() == [1, 1, 0, 0, 0, 0]
    findings = [one.text for one in m.evidence if isinstance(one, Finding)]
    did = "raises ValueError: no answer there" if raises else "gives NaN or infinity"
    assert findings[0] == (
        f"edgy {did} on adversarial forms of 2 of 6 rows, inside budget and schema: they count as broken"
    )
    named = next(one for one in m.evidence if isinstance(one, Rows))
    assert named.ids == ("e", "f")
    assert "adversarial form has no answer" in named.what
    # The rows themselves can be had, and verified.
    x_adv = RandomNoise(eps=1.0, draws=100).perturb(model, data())
    assert beyond(x_adv[4:, 0]).all()
    assert np.abs(x_adv - X).max() <= 1.0
    rows = attacked_rows(model, data(), attack=RandomNoise(eps=1.0, draws=100))
    assert rows.broken.tolist() == [False, False, True, True, True, True]
    assert rows.after[4:] == ("no class of the data",) * 2


def test_attacked_rows_of_a_row_without_an_answer():
    rows = attacked_rows(made(at_two), data(), eps=1.0)
    assert rows.right.tolist() == [True, True, True, True, False, True]
    assert rows.before[4] == "no class of the data"
    assert rows.x_adv[4] == 2.0


@pytest.mark.parametrize("attack", [FGSM(), PGD(steps=3), RandomNoise(draws=50)], ids=repr)
def test_a_curve_counts_them_at_every_budget(attack):
    curve = robustness_curve(made(at_two), data(), attack, eps=[0.1, 1.0])
    assert [point.row_values.tolist() for point in curve] == [[1, 1, 1, 1, 0, 1], [1, 1, 0, 0, 0, 1]]
    assert any(
        "on some rows that it was asked" in one.text for one in curve.points[0].evidence if isinstance(one, Finding)
    )


def test_points_of_a_curve_name_them_as_single_questions_do():
    edgy = made(lambda x: at_two(x) | beyond(x))
    curve = robustness_curve(edgy, data(), FGSM(), eps=[0.1, 3.0])
    for point, eps in zip(curve, (0.1, 3.0), strict=True):
        alone = robust_accuracy(edgy, data(), attack=FGSM(eps=eps))
        wanted = [one for one in alone.evidence if isinstance(one, Rows) and "answer" in one.what]
        assert [one for one in point.evidence if isinstance(one, Rows)] == wanted
        assert len(wanted) == (1 if eps < 1 else 2)
        said = [one.text for one in alone.evidence if isinstance(one, Finding) and "count as" in one.text]
        assert [one.text for one in point.evidence if isinstance(one, Finding) and "count as" in one.text] == said


def test_a_curve_names_classes_that_are_never_predicted():
    twice = as_data(np.vstack([X, X]), ["no", "no", "no", "yes", "yes", "yes", *["odd"] * 6])
    model = as_model(lambda x: (x[:, 0] > 0).astype(int), classes=("no", "yes", "odd"), name="m")
    point = robustness_curve(model, twice, RandomNoise(), eps=[0.1]).points[0]
    texts = [one.text for one in point.evidence if isinstance(one, Finding)]
    assert "m predicts class 'odd' for no row, but 6 of 12 rows have it: all are wrong" in texts


def test_their_smallest_change_is_zero():
    m = minimal_perturbation(made(at_two), data())
    np.testing.assert_allclose(m.rows, [3.0, 2.0, 0.5, 0.5, 0.0, 3.0], atol=0.02)
    assert any("as they are: they count as wrong" in one.text for one in m.evidence if isinstance(one, Finding))
    # A point without an answer nearer than the other class is the smallest change.
    near = minimal_perturbation(made(lambda x: (x > 0.5) & (x < 2.9)), data())
    assert 0.1 < near.rows[5] < 2.5


def test_a_second_run_tells_the_same(tmp_path):
    from dataclasses import replace

    from robust.predicting.cache import ArrayCache
    from robust.predicting.settings import Settings, using

    model = replace(made(beyond), identity=lambda: "known")
    found = []
    for _ in range(2):
        with using(Settings(cache=ArrayCache(folder=tmp_path))):
            found.append(robust_accuracy(model, data(), attack=PGD(eps=1.0, steps=3)))
    assert found[0].evidence == found[1].evidence
    assert found[0].validity == found[1].validity


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize(
    "ask",
    [
        lambda model: robust_accuracy(model, data(), eps=1.0),
        lambda model: attacked_rows(model, data(), eps=1.0),
        lambda model: robustness_curve(model, data(), FGSM(), eps=[1.0]),
        lambda model: minimal_perturbation(model, data()),
        lambda model: PGD(eps=1.0).perturb(model, data()),
    ],
)
def test_a_model_that_answers_no_row_is_refused(ask, raises):
    with pytest.raises(ModelFault, match=r"^edgy (raised|gives NaN).* position 0"):
        ask(made(lambda x: x < 9, raises=raises))


def test_a_gradient_that_fails_breaks_nothing():
    def gradients(x, cotangent):
        raise RuntimeError("no backward pass")

    model = as_model(lambda x: np.hstack([-x, x]), gradients=gradients, output="logits", name="m")
    with pytest.raises(ModelFault, match="m raised while its gradient was taken: RuntimeError: no backward pass"):
        robust_accuracy(model, data(), attack=FGSM(eps=0.1))


def test_plain_measures_name_the_row():
    with pytest.raises(ModelFault, match="edgy raised ValueError: no answer there on the row at position 4"):
        accuracy(made(at_two), data())


def test_a_class_that_is_never_predicted_is_told():
    rows = as_data(np.vstack([X, X]), [*Y, *[2] * 6])
    model = as_model(
        lambda x: np.hstack([-x, x, -9.0 + 0 * x]), output="logits", name="m", classes=("no", "yes", "odd")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m = robust_accuracy(
            model, as_data(np.vstack([X, X]), ["no", "no", "no", "yes", "yes", "yes", *["odd"] * 6]), eps=0.1
        )
    texts = [one.text for one in m.evidence if isinstance(one, Finding)]
    assert "m predicts class 'odd' for no row, but 6 of 12 rows have it: all are wrong" in texts
    few = robust_accuracy(model, as_data(X, ["no", "no", "odd", "yes", "yes", "yes"]), eps=0.1)
    assert not any("predicts class" in one.text for one in few.evidence if isinstance(one, Finding))
    assert len(rows) == 12


EVERY = [RandomNoise, FGSM, BIM, PGD, APGD, DDN, FMN, DeepFool, Square, RandomSearch, HopSkipJump, Boundary]


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("kind", EVERY)
def test_every_attack_goes_on(kind, raises):
    names = [field.name for field in fields(kind)]
    options = {name: few for name, few in (("queries", 30), ("steps", 5)) if name in names}
    m = robust_accuracy(made(at_two, raises=raises), data(), attack=kind(eps=1.0, **options))
    assert m.row_values.tolist() == [1, 1, 0, 0, 0, 1]
    # Whether it meets the gap between 2.2 and 2.9 is its own affair; whoever does has broken the row.
    met = robust_accuracy(made(beyond, raises=raises), data(), attack=kind(eps=1.0, **options))
    assert met.row_values[:4].tolist() == [1, 1, 0, 0]
    curve = robustness_curve(made(beyond, raises=raises), data(), kind(**options), eps=[0.1, 1.0])
    assert curve.points[0].value == 1.0
    assert curve.points[1].row_values[:4].tolist() == [1, 1, 0, 0]


class EdgyNumber:
    """f(x) = 2x, which raises, or gives NaN, where `odd` says so."""

    def __init__(self, odd, *, raises):
        self.odd, self.raises = odd, raises

    def forward(self, x):
        odd = self.odd(np.asarray(x)[:, 0])
        if self.raises and odd.any():
            raise ValueError("no answer there")
        return np.where(odd, np.nan, 2.0 * np.asarray(x, dtype=float)[:, 0])

    def gradients(self, x, cotangent):
        outputs = self.forward(x)[:, None]
        return outputs, 2.0 * cotangent(outputs)

    def model(self, slopes):
        return as_model(self.forward, gradients=self.gradients if slopes else None, task="regression", name="edgy")


@pytest.mark.parametrize("slopes", [True, False])
@pytest.mark.parametrize("raises", [True, False])
def test_a_regression_that_fails_on_a_row_has_moved_without_bound_there(raises, slopes):
    model = EdgyNumber(at_two, raises=raises).model(slopes)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        m = largest_output_change(model, data(), eps=0.25, quantile=0.5)
    assert np.isinf(m.rows[4])
    np.testing.assert_allclose(np.delete(m.rows, 4), 0.5, rtol=1e-6)
    assert (round(m.value, 6), m.n) == (0.5, 6)
    did = "raises ValueError: no answer there" if raises else "gives NaN or infinity"
    assert m.evidence[0] == Finding(text=f"edgy {did} on 1 of 6 rows as they are: they count as moved without bound")
    assert m.evidence[1].ids == ("e",)
    # Of the mean nothing is left, and of six rows two have to be near the largest.
    assert largest_output_change(model, data(), eps=0.25, quantile=None).lower == np.inf
    assert not largest_output_change(model, data(), eps=0.25, quantile=None) < 1e6
    assert largest_output_change(model, data(), eps=0.25, quantile=1).value == np.inf
    assert largest_output_change(model, data(), eps=0.25, tolerance=0.6).value == pytest.approx(1 / 6)
    least = minimal_perturbation_for_change(model, data(), change=1.0)
    np.testing.assert_allclose(least.rows, [0.5, 0.5, 0.5, 0.5, 0.0, 0.5], rtol=1e-3)
    assert least.evidence[0].text.endswith("on 1 of 6 rows as they are: they count as moved by no change at all")


@pytest.mark.parametrize("slopes", [True, False])
@pytest.mark.parametrize("raises", [True, False])
def test_a_regression_that_an_attack_leads_to_no_answer_has_moved_without_bound(raises, slopes):
    # The row at 2 meets no answer from 2.2 to 2.9, that at 3 too.
    model = EdgyNumber(beyond, raises=raises).model(slopes)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        m = largest_output_change(model, data(), eps=0.5, tolerance=1.5)
    assert np.isinf(m.rows).tolist() == [False] * 4 + [True] * 2
    np.testing.assert_allclose(m.rows[:4], 1.0, rtol=1e-6)
    assert m.value == pytest.approx(2 / 6)
    assert "on adversarial forms of 2 of 6 rows, inside budget and schema: they count as moved" in m.evidence[0].text
    assert m.evidence[1].ids == ("e", "f")
    # A point without an answer may be nearer than one where the output has moved far enough.
    least = minimal_perturbation_for_change(model, data(), change=4.0)
    assert 0.1 <= least.rows[5] < 0.5


@pytest.mark.parametrize("slopes", [True, False])
def test_a_regression_that_answers_no_row_is_refused(slopes):
    model = EdgyNumber(lambda x: x < 9, raises=True).model(slopes)
    for ask in (
        lambda: largest_output_change(model, data(), eps=1.0),
        lambda: minimal_perturbation_for_change(model, data(), change=1.0),
    ):
        with pytest.raises(ModelFault, match=r"^edgy raised ValueError.* position 0"):
            ask()

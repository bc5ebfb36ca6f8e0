"""One output: dequantization, ground truth of every kind, notes, and what is refused."""

import numpy as np
import pytest

from robust.crosscheck.output_rows import Tensor, compare_output
from robust.errors import InvalidInput
from robust.tensors.quantizing import quantize
from robust.tensors.spec import Quantization, TensorSpec

Q = Quantization(scale=1 / 256, zero_point=-128, dtype="int8")


def tensor(array, q=None, name="y"):
    array = np.asarray(array)
    return Tensor(raw=array, spec=TensorSpec(name=name, shape=array.shape[1:], dtype=str(array.dtype), quantization=q))


def softmax(n=40, k=4, seed=0):
    z = 2 * np.random.default_rng(seed).normal(size=(n, k))
    e = np.exp(z)
    return (e / e.sum(axis=1, keepdims=True)).astype(np.float32)


P = softmax()


def compare(reference, candidate, truth=None, classifier=None):
    return compare_output(1, reference, candidate, truth, classifier=classifier)


def by_role(output):
    return {row.role: row for row in output.rows}


def test_lines_and_notes():
    rows = by_role(compare(tensor(P), tensor(quantize(P, Q), Q), np.eye(4)[P.argmax(axis=1)]))
    assert list(rows) == ["candidate", "reference", "X-cross"]
    assert rows["candidate"].notes[:4] == (
        "data type is different: r/float64 instead p/int8",
        "p/int8 data are dequantized with s=0.003906 zp=-128",
        "computed against the provided ground truth values",
        "40 samples (4 items per sample)",
    )
    assert rows["reference"].notes[:2] == (
        "data type is different: r/float64 instead p/float32",
        "computed against the provided ground truth values",
    )
    assert rows["X-cross"].notes[:4] == (
        "data type is different: r/float32 instead p/int8",
        "p/int8 data are dequantized with s=0.003906 zp=-128",
        "the output of the reference model is used as ground truth/reference value",
        "40 samples (4 items per sample)",
    )
    assert rows["X-cross"].tensor == "y, (4,), m_id=[1]"
    assert rows["X-cross"].name == "X-cross #1"
    assert rows["X-cross"].metrics.mae < 1 / 512 + 1e-9  # half a step


def test_both_quantized_have_both_notes():
    q = quantize(P, Q)
    row = by_role(compare(tensor(q, Q), tensor(q, Q)))["X-cross"]
    assert row.notes[:2] == (
        "r/int8 data are dequantized with s=0.003906 zp=-128",
        "p/int8 data are dequantized with s=0.003906 zp=-128",
    )
    assert row.metrics.l2r == 0
    assert row.metrics.acc == 1.0


def test_each_tensor_has_its_own_scale():
    coarse = Quantization(scale=1 / 64, zero_point=0, dtype="uint8")
    row = by_role(compare(tensor(quantize(P, Q), Q), tensor(quantize(P, coarse), coarse)))["X-cross"]
    assert row.metrics.mae < 1 / 128 + 1 / 512
    assert "p/uint8 data are dequantized with s=0.015625 zp=0" in row.notes


def test_a_scale_that_one_tensor_lacks_is_taken_from_the_other():
    q = quantize(P, Q)
    row = by_role(compare(tensor(q, Q), tensor(q)))["X-cross"]
    assert row.metrics.l2r == 0
    assert "p/int8 data are dequantized with s=0.003906 zp=-128" in row.notes


def test_integers_without_any_scale_are_compared_as_they_are():
    q = quantize(P, Q)
    row = by_role(compare(tensor(q), tensor(q + np.int8(1))))["X-cross"]
    assert row.metrics.mae == 1.0
    assert any("no known scale" in note for note in row.notes)


def test_integers_without_a_scale_beside_real_values_are_refused():
    with pytest.raises(InvalidInput, match="int8 without a known scale and zero point, the other model's is float32"):
        compare(tensor(P), tensor(quantize(P, Q)))


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, np.float32])
def test_labels_as_ground_truth(kind):
    labels = P.argmax(axis=1).astype(kind)
    one_hot = by_role(compare(tensor(P), tensor(P), np.eye(4)[P.argmax(axis=1)]))
    for truth in (labels, labels[:, None]):
        rows = by_role(compare(tensor(P), tensor(P), truth))
        assert rows["candidate"].metrics == one_hot["candidate"].metrics
        assert f"r/{labels.dtype} labels are taken as one-hot rows of 4 classes" in rows["candidate"].notes


def test_ground_truth_in_the_outputs_own_integers_is_dequantized():
    q = quantize(P, Q)
    row = by_role(compare(tensor(q, Q), tensor(q, Q), q))["candidate"]
    assert row.metrics.l2r == 0
    assert "r/int8 data are dequantized with s=0.003906 zp=-128" in row.notes


@pytest.mark.parametrize("kind", [np.int8, np.uint8, bool])
def test_one_hot_rows_of_small_integers_stay_as_they_are(kind):
    truth = np.eye(4)[P.argmax(axis=1)].astype(kind)
    row = by_role(compare(tensor(quantize(P, Q), Q), tensor(quantize(P, Q), Q), truth))["candidate"]
    assert row.metrics.acc == 1.0
    assert row.metrics.rmse < 0.5


@pytest.mark.parametrize(
    ("truth", "match"),
    [
        (np.full(40, 4), r"labels \[4\], the output has 4 classes"),
        (np.full(40, 0.5), "no whole number"),
        (np.zeros(39, dtype=int), "40 rows, one a sample"),
        (np.zeros((40, 3)), "3 values a row, the output 4"),
        (np.full((40, 4), np.nan), r"ground truth .* holds nan in row 0"),
        (np.zeros((40, 2, 2)), None),
        (np.array(1), "shape"),
    ],
)
def test_ground_truth_that_does_not_fit(truth, match):
    if match is None:
        compare(tensor(P), tensor(P), truth)  # flat outputs take any arrangement
        return
    with pytest.raises(InvalidInput, match=match):
        compare(tensor(P), tensor(P), truth)


def test_integers_of_another_type_as_ground_truth_are_refused():
    with pytest.raises(InvalidInput, match="is uint8, the output int8.* int8 or floating numbers, or whole ones"):
        compare(tensor(quantize(P, Q), Q), tensor(quantize(P, Q), Q), np.full((40, 4), 7, dtype=np.uint8))


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint16])
def test_small_integers_are_never_compared_with_real_values(kind):
    truth = (np.arange(160).reshape(40, 4) % 100).astype(kind)
    for reference in (tensor(P), None):
        with pytest.raises(InvalidInput, match=f"is {truth.dtype}, the output float32: these integers may stand"):
            compare(reference, tensor(P), truth)
    wide = by_role(compare(tensor(P), tensor(P), truth.astype(np.int64)))["candidate"]
    assert wide.metrics.mae == pytest.approx(np.abs(truth - P).mean())


def test_indicators_of_several_labels_need_no_scale():
    truth = (P > 0.2).astype(np.uint8)
    assert (truth.sum(axis=1) != 1).any()
    row = by_role(compare(tensor(P), tensor(P), truth))["candidate"]
    assert row.metrics.rmse == pytest.approx(np.sqrt(((truth - P) ** 2).mean()))


def test_ground_truth_in_the_candidates_integers_beside_a_float_reference():
    """The candidate against its own stored output differs by nothing, the reference by half a step."""
    codes = quantize(P, Q)
    rows = by_role(compare(tensor(P), tensor(codes, Q), codes))
    assert rows["candidate"].metrics.rmse == 0
    assert 0 < rows["reference"].metrics.rmse < Q.scale / 2
    assert rows["reference"].metrics.l2r == pytest.approx(rows["X-cross"].metrics.l2r, rel=1e-2)
    told = "r/int8 data are dequantized with s=0.003906 zp=-128, as the candidate's output"
    assert told in rows["candidate"].notes
    assert told in rows["reference"].notes


def test_ground_truth_in_the_references_integers_beside_a_float_candidate():
    codes = quantize(P, Q)
    rows = by_role(compare(tensor(codes, Q), tensor(P), codes))
    assert rows["reference"].metrics.rmse == 0
    assert 0 < rows["candidate"].metrics.rmse < Q.scale / 2
    assert "r/int8 data are dequantized with s=0.003906 zp=-128, as the reference's output" in rows["candidate"].notes


OTHER = Quantization(scale=1 / 64, zero_point=-100, dtype="int8")


@pytest.mark.parametrize(("origin", "q"), [("reference", Q), ("candidate", OTHER)])
def test_of_two_scales_of_one_type_that_of_the_models_own_counts(origin, q):
    """Either model against its own stored output differs by nothing."""
    pair = tensor(quantize(P, Q), Q), tensor(quantize(P, OTHER), OTHER)
    rows = by_role(compare_output(1, *pair, quantize(P, q), classifier=None, origin=origin))
    stranger = "candidate" if origin == "reference" else "reference"
    assert rows[origin].metrics.rmse == 0
    assert rows[stranger].metrics.rmse == pytest.approx(rows["X-cross"].metrics.rmse)
    for role in ("candidate", "reference"):
        assert f"r/int8 data are dequantized with {q.words}, as the {origin}'s output" in rows[role].notes


def test_integers_of_two_scales_whose_origin_nobody_says_are_refused():
    pair = tensor(quantize(P, Q), Q), tensor(quantize(P, OTHER), OTHER)
    match = r"the reference's with s=0.003906 zp=-128 and the candidate's with s=0.015625 zp=-100: .* floating numbers"
    with pytest.raises(InvalidInput, match=match):
        compare(*pair, quantize(P, Q))
    labels = P.argmax(axis=1).astype(np.int8)
    for plain in (P, labels, np.eye(4, dtype=np.int8)[labels]):  # no scale is needed for these
        assert by_role(compare(*pair, plain))["candidate"].metrics.acc > 0.9
    same = by_role(compare(pair[0], pair[0], quantize(P, Q)))
    assert same["candidate"].metrics.rmse == same["reference"].metrics.rmse == 0


def test_a_reference_that_is_not_run_is_named_where_its_integers_are_read():
    codes = quantize(P, Q)
    (row,) = compare_output(1, None, tensor(codes, Q), codes, classifier=None, origin="reference").rows
    told = "r/int8 data are dequantized with s=0.003906 zp=-128, as the candidate's output; by its key it is another"
    assert any(note.startswith(told) for note in row.notes)


def test_integers_beside_a_tensor_whose_scale_nobody_knows():
    codes = quantize(P, Q)
    row = by_role(compare(None, tensor(codes), codes))["candidate"]
    assert row.metrics.rmse == 0
    assert "r/int8 data have no known scale, they are compared as they are" in row.notes


def test_one_number_a_row_gets_no_advice_to_call_it_classes():
    row = by_role(compare(tensor(P[:, :1]), tensor(P[:, :1])))["X-cross"]
    assert any("one number a row is no choice among classes" in note for note in row.notes)
    assert not any("--classifier" in note for note in row.notes)


@pytest.mark.parametrize("tie", [0.4, 0.0, 1.0])
def test_ground_truth_of_a_classifier_that_names_no_class_is_refused(tie):
    truth = np.eye(4)[np.arange(40) % 4]
    truth[7] = tie
    for logits in (np.log(P), P):
        with pytest.raises(InvalidInput, match=r"names no class in 1 of 40 rows.* row 7 .*one label 0 … 3 a row"):
            compare(tensor(logits), tensor(logits), truth, classifier=True)
        assert not compare(tensor(logits), tensor(logits), truth, classifier=False).classes


def test_scores_as_ground_truth_are_taken_and_told():
    row = by_role(compare(tensor(P), tensor(P), P[:, ::-1], classifier=True))["candidate"]
    assert row.metrics.acc == np.mean(P.argmax(axis=1) == P[:, ::-1].argmax(axis=1))
    assert any("neither one-hot nor labels" in note for note in row.notes)
    labelled = by_role(compare(tensor(P), tensor(P), P.argmax(axis=1), classifier=True))["candidate"]
    assert not any("neither one-hot" in note for note in labelled.notes)


def test_a_state_beside_a_classifiers_output_may_have_ties():
    state, zeros = tensor(np.log(P)), np.zeros((40, 4))
    assert compare_output(2, state, state, zeros, classifier=True, alone=False).rows
    with pytest.raises(InvalidInput, match="names no class"):
        compare_output(2, tensor(P), tensor(P), zeros, classifier=True, alone=False)


def test_labels_need_a_classifier():
    with pytest.raises(InvalidInput, match="labels go with a classifier"):
        compare(tensor(P), tensor(P), np.zeros(40, dtype=int), classifier=False)


def test_who_is_a_classifier():
    logits = np.log(P)
    assert compare(tensor(P), tensor(P)).classes
    assert not compare(tensor(logits), tensor(logits)).classes
    assert compare(tensor(logits), tensor(logits), classifier=True).classes
    assert compare(tensor(logits), tensor(logits), np.eye(4)[P.argmax(axis=1)]).classes
    assert compare(tensor(logits), tensor(logits), P.argmax(axis=1)).classes
    assert not compare(tensor(P), tensor(P), classifier=False).classes
    regressor = by_role(compare(tensor(logits), tensor(logits)))["X-cross"]
    assert regressor.metrics.acc is None
    assert regressor.confusion is None
    assert any("--classifier" in note for note in regressor.notes)


def test_a_single_column_is_no_classifier_even_when_told():
    column = np.ones((5, 1), dtype=np.float32)
    found = compare(tensor(column), tensor(column), classifier=True)
    assert not found.classes
    assert found.rows[0].metrics.acc is None
    assert found.rows[0].confusion is None


def test_the_reference_decides_whether_values_are_probabilities():
    assert not compare(tensor(np.log(P)), tensor(P)).classes
    assert compare(tensor(P), tensor(np.log(P))).classes


def test_ties_are_told():
    r = np.tile(np.array([[0.5, 0.5]], dtype=np.float32), (6, 1))
    (row,) = compare(tensor(r), tensor(r)).rows
    assert any("in 6 samples several classes share the largest value" in note for note in row.notes)


def test_shapes_that_mean_the_same():
    (row,) = compare(tensor(P), tensor(P.reshape(40, 1, 1, 4))).rows
    assert row.metrics.acc == 1.0
    assert "shapes of a row differ: r/(4,) p/(1, 1, 4)" in row.notes
    assert row.tensor == "y, (1, 1, 4), m_id=[1]"


def test_shapes_that_do_not():
    r = np.zeros((4, 3, 8, 8), dtype=np.float32)
    with pytest.raises(InvalidInput, match="say outputs_ch_position"):
        compare(tensor(r), tensor(r.reshape(4, 8, 8, 3)))
    with pytest.raises(InvalidInput, match="as many numbers from both"):
        compare(tensor(P), tensor(P[:, :3]))


def test_names_are_safe_to_print():
    (row,) = compare(tensor(P), tensor(P, name="a\nb\x1b[31m")).rows
    assert row.tensor == "a\\nb\\x1b[31m, (4,), m_id=[1]"


def test_nothing_to_compare_with():
    assert compare(None, tensor(P)).rows == ()
    (row,) = compare(None, tensor(P), P).rows
    assert row.role == "candidate"

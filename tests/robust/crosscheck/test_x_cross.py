"""Agreement of real model files: several inputs and outputs, int8 tensors, files, random samples, refusals."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from robust.check import Subject
from robust.crosscheck.x_cross import CHECKS, AgreementOptions, agreement
from robust.data.live import as_data
from robust.errors import InvalidInput, ModelFault
from robust.evidence import Fact, Figure, Finding, Rows
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.models.runner import load_runner
from robust.tensors.quantizing import quantize
from robust.tensors.saving import save_validation
from robust.tensors.spec import Quantization
from robust.tensors.validation_data import ValidationData
from robust.tensors.validation_files import read_validation

Q_IN = Quantization(scale=0.02, zero_point=3, dtype="int8")


def rows(found, role):
    return [row for row in found.rows if row.role == role]


@pytest.fixture
def detectors(make_detector, tmp_path):
    return make_detector(tmp_path / "detector.onnx"), make_detector(tmp_path / "shaken.onnx", noise=1e-4)


@pytest.fixture
def classifiers(make_classifier, tmp_path):
    return make_classifier(tmp_path / "float.onnx"), make_classifier(tmp_path / "int8.onnx", int8=True)


def samples(n=60, seed=0):
    return np.random.default_rng(seed).uniform(-2, 2, size=(n, 6)).astype(np.float32)


# --- several inputs and outputs -------------------------------------------------------------------------------


def test_a_recurrent_detector_on_random_samples(detectors):
    found = agreement(*detectors, rows=20)
    assert [row.name for row in found.rows] == ["X-cross #1", "X-cross #2", "X-cross #3"]
    assert [row.tensor for row in found.rows] == [
        "score, (3,), m_id=[1]",
        "boxes, (2, 4), m_id=[2]",
        "next_state, (4,), m_id=[3]",
    ]
    score, boxes, state = (row.metrics for row in found.rows)
    assert score.acc is not None
    assert boxes.acc is state.acc is None
    assert all(0 < m.l2r < 0.01 for m in (score, boxes, state))
    assert found.close
    assert found.random
    assert found.n == 20
    assert any(line.startswith("generating random data, size=20, seed=42, range=default") for line in found.log)
    assert any(line.startswith("I[2]: (20, 4)/float32, min/max=[0.0") for line in found.log)
    assert any(line.startswith("c_outputs_2: (20, 2, 4)/float32") for line in found.log)
    assert any("No output/reference samples are provided" in line for line in found.log)


def test_each_output_is_judged_by_itself(detectors):
    # Metrics of one output do not change when others are there.
    a, b = (load_runner(path) for path in detectors)
    frame, state = samples(30), np.zeros((30, 4), dtype=np.float32)
    found = agreement(a, b, [frame, state])
    raw_a, raw_b = a.run([frame, state])[0], b.run([frame, state])[0]
    for k, row in enumerate(found.rows):
        alone = agreement(lambda x, k=k: raw_a[k], lambda x, k=k: raw_b[k], [frame])
        assert alone.rows[0].metrics == row.metrics


def test_tensors_in_another_order_are_matched_by_name(make_detector, tmp_path):
    plain = make_detector(tmp_path / "a.onnx")
    swapped = make_detector(tmp_path / "b.onnx", swap=True)
    found = agreement(plain, swapped, rows=5)
    assert [row.metrics.l2r for row in found.rows] == [0.0, 0.0, 0.0]
    assert [row.tensor.split(",")[0] for row in found.rows] == ["next_state", "boxes", "score"]
    assert any("the outputs lie in another order and are matched by name" in line for line in found.log)
    assert any("candidate: the inputs lie in another order" in line for line in found.log)


def test_ground_truth_is_in_the_order_of_the_reference_as_samples_are(make_detector, tmp_path):
    """What was written of two builds whose outputs lie in another order is read back without a difference."""
    plain, swapped = make_detector(tmp_path / "a.onnx"), make_detector(tmp_path / "b.onnx", swap=True)
    first = agreement(plain, swapped, rows=8)
    assert first.tensors.m_outputs is not None
    truth = list(first.tensors.m_outputs)
    found = agreement(plain, swapped, list(first.tensors.m_inputs), outputs=truth)
    assert [row.metrics.rmse for row in rows(found, "reference")] == [0, 0, 0]
    assert all(row.metrics.rmse < 1e-6 for row in rows(found, "candidate"))
    assert "the ground truth is in the order of the reference's outputs" in found.log
    lines = [line for line in found.log if line.startswith("O[")]
    assert [line.rsplit(", ", 1)[1] for line in lines] == ["score", "boxes", "next_state"]
    # Of several outputs one may have none.
    part = agreement(plain, swapped, list(first.tensors.m_inputs), outputs=[truth[0], None, None])
    assert [row.number for row in rows(part, "candidate")] == [3]
    # Alone, the candidate names them itself.
    own = agreement(None, swapped, list(first.tensors.c_inputs), outputs=list(first.tensors.c_outputs))
    assert [row.metrics.rmse for row in rows(own, "candidate")] == [0, 0, 0]


def test_what_the_candidate_alone_was_given_and_gave_is_its_own(make_detector, tmp_path):
    """A run without a reference writes c_inputs_1 …, in the candidate's order: another model's order is not theirs."""
    plain, swapped = make_detector(tmp_path / "a.onnx"), make_detector(tmp_path / "b.onnx", swap=True)
    first = agreement(None, swapped, rows=8)
    stored = {"c_inputs": first.tensors.c_inputs, "c_outputs": first.tensors.c_outputs}
    path, *_ = save_validation(tmp_path / "out", "net", m_inputs=[], m_outputs=[], **stored)
    found = agreement(plain, swapped, path)
    assert [row.metrics.rmse for row in rows(found, "candidate")] == [0, 0, 0]
    assert all(row.metrics.rmse < 1e-6 for row in rows(found, "reference"))
    assert any("the samples are the candidate's" in line for line in found.log)
    lines = [line for line in found.log if line.startswith(("I[", "O["))]
    assert [line.rsplit(", ", 1)[1] for line in lines] == ["state", "frame", "next_state", "boxes", "score"]


def test_int8_samples_of_the_candidate_are_dequantized_for_a_float_reference(classifiers, tmp_path):
    first = agreement(None, classifiers[1], [samples()])
    stored = {"c_inputs": first.tensors.c_inputs, "c_outputs": first.tensors.c_outputs}
    path, *_ = save_validation(tmp_path / "out", "net", m_inputs=[], m_outputs=[], **stored)
    found = agreement(*classifiers, path)
    (own,) = rows(found, "candidate")
    assert own.metrics.rmse == 0
    assert found.close
    assert any("reference: input 'x': int8 data are dequantized with s=0.020000 zp=3" in line for line in found.log)
    # Floating samples under these keys are for both as they are.
    floats, *_ = save_validation(
        tmp_path / "floats", "net", m_inputs=[], m_outputs=[], c_inputs=[samples()], c_outputs=[]
    )
    assert agreement(*classifiers, floats).table() == agreement(*classifiers, [samples()]).table()
    more, *_ = save_validation(
        tmp_path / "more", "net", m_inputs=[], m_outputs=[], c_inputs=[samples()] * 2, c_outputs=[]
    )
    with pytest.raises(InvalidInput, match="got 2 input arrays for 1 inputs"):
        agreement(*classifiers, more)
    # Both at hand: the reference's come first, and nothing changes.
    both, *_ = save_validation(tmp_path / "both", "net", m_inputs=[samples()], m_outputs=[], **stored)
    assert not any("the samples are the candidate's" in line for line in agreement(*classifiers, both).log)


def test_stored_int8_outputs_are_ground_truth_of_the_same_pair(classifiers, tmp_path):
    x = samples()
    first = agreement(*classifiers, [x])
    paths = save_validation(
        tmp_path / "out",
        "net",
        m_inputs=first.tensors.m_inputs,
        c_inputs=first.tensors.c_inputs,
        m_outputs=first.tensors.m_outputs,
        c_outputs=first.tensors.c_outputs,
    )
    inputs, outputs = (
        next(path for path in paths if path.name == f"net_val_{part}_1.npy") for part in ("m_inputs", "c_outputs")
    )
    found = agreement(*classifiers, [inputs], outputs=[outputs])
    (own,), (other,), (cross,) = (rows(found, role) for role in ("candidate", "reference", "X-cross"))
    assert own.metrics.rmse == 0
    assert other.metrics.rmse == pytest.approx(cross.metrics.rmse)


def test_a_stored_run_of_two_int8_builds_is_read_by_the_scale_of_each(make_classifier, tmp_path):
    pair = (
        make_classifier(tmp_path / "a.onnx", int8=True),
        make_classifier(tmp_path / "b.onnx", int8=True, scale=1 / 200, zero=-120, in_scale=0.04, in_zero=-7),
    )
    kept = agreement(*pair, [samples()]).tensors
    archives = {
        "reference": {"m_inputs": kept.m_inputs, "m_outputs": kept.m_outputs, "c_inputs": [], "c_outputs": []},
        "candidate": {"c_inputs": kept.c_inputs, "c_outputs": kept.c_outputs, "m_inputs": [], "m_outputs": []},
    }
    for role, parts in archives.items():
        archive, array, *_ = save_validation(tmp_path / role, "net", **parts)
        read = read_validation(archive, specs_in=None, specs_out=None)
        assert read.origin == role
        for data in (archive, read) if role == "reference" else (archive,):
            found = agreement(*pair, data)
            assert rows(found, role)[0].metrics.rmse == 0
            stranger = "candidate" if role == "reference" else "reference"
            assert rows(found, stranger)[0].metrics.rmse == pytest.approx(rows(found, "X-cross")[0].metrics.rmse)
        outputs = next((tmp_path / role).glob("*outputs_1.npy"))
        with pytest.raises(InvalidInput, match="nothing says whose these integers are"):
            agreement(*pair, [array], outputs=[outputs])


def test_codes_in_a_csv_of_floats_are_asked_back(classifiers, tmp_path):
    codes = quantize(samples(), Q_IN)
    path = tmp_path / "codes.csv"
    np.savetxt(path, codes, delimiter=",", fmt="%d")
    for pair in (classifiers, classifiers[::-1]):
        with pytest.raises(InvalidInput, match=r"whole numbers alone, .*are these its int8 codes\?"):
            agreement(*pair, path)
    path.write_text("# dtype=int8\n" + path.read_text())
    assert agreement(*classifiers[::-1], path).rows[0].metrics.rmse < 0.01


def test_codes_beside_estimators_and_functions(make_classifier, tmp_path):
    x = samples()
    codes = quantize(x, Q_IN)
    int8 = make_classifier(tmp_path / "b.onnx", int8=True)
    tree = LogisticRegression(max_iter=500).fit(x, np.arange(len(x)) % 4)
    for data in ([codes], as_data(codes, np.arange(len(x)) % 4)):
        with pytest.raises(InvalidInput, match=r"codes of the other model .*takes real numbers"):
            agreement(tree, int8, data)
        found = agreement(lambda x: np.eye(4)[np.abs(x[:, 0]) % 4], int8, data)
        assert any("reads them as they are" in finding.text for finding in found.findings)


def test_files_of_several_tensors_go_by_their_order(detectors, tmp_path):
    frame, state = samples(12), samples(12, 1)[:, :4]
    np.save(tmp_path / "zz.npy", frame)
    np.savetxt(tmp_path / "aa.csv", state, delimiter=",")
    found = agreement(*detectors, [tmp_path / "zz.npy", tmp_path / "aa.csv"])
    same = agreement(*detectors, [frame, state])
    assert [row.metrics.l2r for row in found.rows] == pytest.approx([row.metrics.l2r for row in same.rows])
    with pytest.raises(InvalidInput, match="frame"):
        agreement(*detectors, [tmp_path / "aa.csv", tmp_path / "zz.npy"])


def test_what_was_saved_is_read_back_with_its_references(detectors, tmp_path):
    first = agreement(*detectors, rows=8)
    kept = first.tensors
    archive, *_ = save_validation(
        tmp_path / "out",
        "network",
        m_inputs=kept.m_inputs,
        c_inputs=kept.c_inputs,
        m_outputs=kept.m_outputs,
        c_outputs=kept.c_outputs,
    )
    again = agreement(*detectors, archive)
    assert [row.metrics for row in rows(again, "X-cross")] == [row.metrics for row in first.rows]
    # The references are what the reference model gave: it agrees with them to the last bit.
    assert [row.metrics.l2r for row in rows(again, "reference")] == [0.0, 0.0, 0.0]
    assert [row.metrics for row in rows(again, "candidate")] == [row.metrics for row in rows(again, "X-cross")]


def test_the_order_of_lines(detectors):
    frame, state = samples(9), np.zeros((9, 4), dtype=np.float32)
    truth = load_runner(detectors[0]).run([frame, state])[0]
    found = agreement(*detectors, [frame, state], outputs=list(truth))
    assert [row.name for row in found.rows[:3]] == ["candidate #1", "reference #1", "X-cross #1"]
    table = found.table().splitlines()[4:-1]
    assert [line.split("  ")[0] for line in table] == [
        f"{role} #{k}" for role in ("candidate", "reference", "X-cross") for k in (1, 2, 3)
    ]


# --- integers -------------------------------------------------------------------------------------------------


def test_float_against_int8_on_the_same_samples(classifiers):
    x = samples()
    found = agreement(*classifiers, x)
    (row,) = found.rows
    assert row.metrics.acc == pytest.approx(1.0, abs=0.05)
    assert 0 < row.metrics.rmse < 0.02
    assert "data type is different: r/float32 instead p/int8" in row.notes
    assert "p/int8 data are dequantized with s=0.003906 zp=-128" in row.notes
    assert "candidate: input 'x': float32 data are quantized with s=0.020000 zp=3" in found.log
    # What was fed and given is kept in its own type, unmodified.
    assert np.array_equal(found.tensors.c_inputs[0], quantize(x, Q_IN))
    assert np.array_equal(found.tensors.m_inputs[0], x)
    assert found.tensors.c_outputs[0].dtype == np.int8


def test_int8_against_float_dequantizes_the_samples(classifiers):
    float_, int8 = classifiers
    found = agreement(int8, float_, rows=50)
    assert found.tensors.m_inputs[0].dtype == np.int8
    assert found.tensors.m_inputs[0].min() < -100
    assert found.tensors.m_inputs[0].max() > 100
    real = (found.tensors.m_inputs[0].astype(float) - 3) * 0.02
    assert found.tensors.c_inputs[0] == pytest.approx(real, abs=1e-6)
    assert "candidate: input 'x': int8 data are dequantized with s=0.020000 zp=3" in found.log
    assert found.rows[0].metrics.rmse < 0.01


def test_two_int8_builds_with_other_scales_are_compared_by_what_they_mean(make_classifier, tmp_path):
    a = make_classifier(tmp_path / "a.onnx", int8=True)
    b = make_classifier(tmp_path / "b.onnx", int8=True, scale=1 / 128, zero=-128, in_scale=0.04, in_zero=-7)
    found = agreement(a, b, samples())
    assert found.rows[0].metrics.mae < 1 / 128
    assert np.mean(found.tensors.m_outputs[0] == found.tensors.c_outputs[0]) < 0.5


def test_uint8_samples_for_an_int8_input_are_refused(classifiers):
    x = np.zeros((5, 6), dtype=np.uint8)
    float_, int8 = classifiers
    with pytest.raises(InvalidInput, match="'x' is int8, got uint8, which is not converted"):
        agreement(int8, int8, [x])
    with pytest.raises(InvalidInput, match="'x' is float32, got uint8, which is not converted"):
        agreement(float_, float_, [x])


# --- ground truth and classes ---------------------------------------------------------------------------------


def test_labels_of_a_data_set_are_the_ground_truth(classifiers):
    x = samples(200)
    labels = load_runner(classifiers[0]).run([x])[0][0].argmax(axis=1)
    labels[:20] = (labels[:20] + 1) % 4
    found = agreement(*classifiers, (x, labels))
    reference = rows(found, "reference")[0]
    assert reference.metrics.acc == 0.9
    assert reference.confusion.counts.sum() == 200
    one_hot = agreement(*classifiers, [x], outputs=np.eye(4)[labels])
    assert [row.metrics for row in one_hot.rows] == [row.metrics for row in found.rows]
    without = agreement(*classifiers, (x, labels), outputs=[])
    assert [row.role for row in without.rows] == ["X-cross"]


def test_labels_of_named_classes():
    x = np.eye(3)[[0, 1, 2, 1]]
    model = as_model(lambda x: 5 * x, output="logits", classes=["ant", "bee", "cat"], name="m")
    found = agreement(model, as_model(lambda x: 4 * x, output="logits", name="n"), (x, ["ant", "bee", "cat", "cat"]))
    assert rows(found, "candidate")[0].metrics.acc == 0.75
    with pytest.raises(InvalidInput, match="no model says which class is which column"):
        agreement(lambda x: 5 * x, lambda x: 4 * x, (x, ["ant", "bee", "cat", "cat"]))
    turned = as_model(lambda x: x, output="logits", classes=["bee", "ant", "cat"])
    with pytest.raises(InvalidInput, match="the same classes in the same order"):
        agreement(model, turned, x)


def test_a_model_may_say_that_it_is_a_classifier():
    x = np.random.default_rng(0).normal(size=(20, 3))
    told = as_model(lambda x: x, output="logits"), as_model(lambda x: 2 * x, output="logits")
    assert agreement(*told, x).rows[0].metrics.acc == 1.0
    assert agreement(*told, x, classifier=False).rows[0].metrics.acc is None
    values = as_model(lambda x: x, task="regression"), as_model(lambda x: 2 * x, task="regression")
    p = np.full((20, 4), 0.25)
    assert agreement(*values, p).rows[0].metrics.acc is None
    assert agreement(lambda x: x, lambda x: x, p).rows[0].metrics.acc == 1.0


def test_a_regressor_with_one_output(classifiers):
    x = np.random.default_rng(0).normal(size=(30, 2))
    found = agreement(lambda x: x[:, :1], lambda x: x[:, 0], (x, x[:, 0]), classifier=True)
    assert all(row.metrics.acc is None for row in found.rows)
    assert all(row.metrics.l2r == 0 for row in found.rows)
    with pytest.raises(InvalidInput, match="acc has no meaning"):
        found.acc  # noqa: B018 - the property refuses


def test_more_ground_truth_than_outputs(detectors):
    with pytest.raises(InvalidInput, match="ground truth for 1 outputs, the models have 3"):
        agreement(*detectors, [samples(5), np.zeros((5, 4), dtype=np.float32)], outputs=np.zeros((5, 3)))


def test_some_outputs_may_have_no_ground_truth(detectors):
    frame, state = samples(20), np.zeros((20, 4), dtype=np.float32)
    labels = load_runner(detectors[0]).run([frame, state])[0][0].argmax(axis=1)
    found = agreement(*detectors, [frame, state], outputs=[labels, None, None])
    assert [row.name for row in found.rows] == [
        "candidate #1",
        "reference #1",
        "X-cross #1",
        "X-cross #2",
        "X-cross #3",
    ]
    assert rows(found, "reference")[0].metrics.acc == 1.0
    assert sum(line.startswith("O[") for line in found.log) == 1


def test_estimators_that_were_fitted_on_named_columns():
    frame = pd.DataFrame({"city": ["ulm", "bonn", "ulm", "jena"] * 10, "age": np.arange(40.0)})
    coder = make_column_transformer((OneHotEncoder(), ["city"]), (StandardScaler(), ["age"]))
    fitted = [make_pipeline(coder, LogisticRegression(C=c)).fit(frame, np.arange(40) % 3) for c in (1.0, 1.1)]
    found = agreement(*fitted, as_data(frame, np.arange(40) % 3))
    truth = [model.predict_proba(frame) for model in fitted]
    (cross,) = rows(found, "X-cross")
    assert cross.metrics.mae == pytest.approx(np.abs(truth[0] - truth[1]).mean())
    assert rows(found, "reference")[0].metrics.acc == np.mean(truth[0].argmax(axis=1) == np.arange(40) % 3)


# --- without a reference --------------------------------------------------------------------------------------


def test_without_a_reference_the_candidate_meets_the_ground_truth_alone(classifiers):
    x = samples(50)
    labels = load_runner(classifiers[0]).run([x])[0][0].argmax(axis=1)
    found = agreement(None, classifiers[1], (x, labels))
    assert [row.name for row in found.rows] == ["candidate #1"]
    assert found.rows[0].metrics.acc > 0.9
    assert found.tensors.m_inputs is found.tensors.m_outputs is None
    assert "X-cross" not in found.report()
    for figure in ("l2r", "rmse", "cos", "acc", "close"):
        with pytest.raises(InvalidInput, match="needs a reference, and none was run"):
            getattr(found, figure)


def test_without_reference_and_ground_truth_it_is_run_alone(classifiers):
    found = agreement(None, classifiers[1], rows=4)
    assert found.rows == ()
    assert "neither a reference nor ground truth" in found.table()
    assert found.tensors.c_outputs[0].shape == (4, 4)


# --- layouts --------------------------------------------------------------------------------------------------


def test_channels_may_lie_elsewhere_in_the_candidate():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(6, 3, 4, 5))
    reference = lambda x: {"y": np.cumsum(x, axis=1)}  # noqa: E731 - over channels, first
    candidate = lambda x: {"y": np.cumsum(x, axis=3)}  # noqa: E731 - over channels, last
    last = np.moveaxis(first, 1, -1)
    found = agreement(
        reference, candidate, [last], inputs_ch_position="channels_last", outputs_ch_position="channels_last"
    )
    assert found.rows[0].metrics.l2r == 0
    # Everything is kept as the candidate has it.
    assert np.array_equal(found.tensors.m_inputs[0], last)
    assert found.tensors.m_outputs[0].shape == found.tensors.c_outputs[0].shape == (6, 4, 5, 3)
    with pytest.raises(InvalidInput, match="say outputs_ch_position"):
        agreement(lambda x: x, lambda x: np.moveaxis(x, 1, -1), [first])


# --- figures with bounds --------------------------------------------------------------------------------------


def test_ten_samples_that_agree_settle_nothing(detectors):
    a, _ = detectors
    one = load_runner(a)
    found = agreement(one, one)
    assert found.n == 10
    assert found.close
    assert (found.l2r < 0.01).status == "INCONCLUSIVE"
    assert (found.acc > 0.99).status == "INCONCLUSIVE"
    assert (found.cos > 0.99).status == "INCONCLUSIVE"
    assert (found.rmse < 0.01).status == "INCONCLUSIVE"


def test_a_bad_build_fails_and_a_good_one_passes():
    x = np.random.default_rng(0).normal(size=(300, 4))
    good = agreement(lambda x: x, lambda x: x + 0.005 * np.sin(50 * x), [x])
    assert (good.l2r < 0.01).status == "PASS"
    assert (good.cos > 0.99).status == "PASS"
    bad = agreement(lambda x: x, lambda x: x + 0.3 * np.sin(50 * x), [x])
    assert (bad.l2r < 0.01).status == "FAIL"
    assert not bad.close


def test_the_worst_output_is_what_is_measured():
    x = np.random.default_rng(0).normal(size=(80, 3))
    found = agreement(lambda x: (x, x), lambda x: (x + 0.01 * np.sin(9 * x), x + 0.2 * np.sin(9 * x)), [x])
    worst = max(row.metrics.l2r for row in found.rows)
    assert found.l2r.value == pytest.approx(worst)
    assert found.rmse.value == pytest.approx(max(row.metrics.rmse for row in found.rows))
    assert found.cos.value == pytest.approx(min(row.metrics.cos for row in found.rows))
    assert found.l2r.higher_is_better is False
    assert found.cos.higher_is_better is True
    assert found.l2r is found.l2r  # measured once


def test_cosine_of_zeros_is_invalid():
    found = agreement(lambda x: x, lambda x: 0 * x, [np.ones((40, 2))])
    assert (found.cos > 0.5).status == "INVALID"
    assert (found.cos < 0.5).status == "INVALID"


def test_acc_is_a_share_with_exact_bounds():
    rng = np.random.default_rng(0)
    x = rng.dirichlet(np.ones(3), size=400)
    wrong = rng.random(400) < 0.1
    found = agreement(lambda x: x, lambda x: np.where(wrong[: len(x), None], np.roll(x, 1, axis=1), x), [x[:256]])
    assert found.acc.method == "clopper-pearson"
    assert found.acc.value == rows(found, "X-cross")[0].metrics.acc


@pytest.mark.parametrize(("given", "method"), [("order", "block-bootstrap"), ("groups", "cluster-bootstrap")])
def test_rows_that_depend_on_each_other(given, method):
    x = np.random.default_rng(0).dirichlet(np.ones(3), size=120)
    data = as_data(x, **{given: np.arange(120) // (1 if given == "order" else 4)})
    found = agreement(lambda x: x, lambda x: np.roll(x, 1, axis=1), data)
    assert {found.l2r.method, found.rmse.method, found.cos.method, found.acc.method} == {method}


def test_evidence():
    x = np.random.default_rng(0).dirichlet(np.ones(3), size=60)
    data = as_data(x, ids=[f"s{i}" for i in range(60)])
    found = agreement(lambda x: x, lambda x: np.where(x[:, :1] == x[7, 0], 1 - x, x), data).l2r
    kinds = {type(item) for item in found.evidence}
    assert {Fact, Figure, Rows} <= kinds
    (worst,) = (item for item in found.evidence if isinstance(item, Rows))
    assert worst.ids[0] == "s7"
    assert worst.total == 1
    figures = [item for item in found.evidence if isinstance(item, Figure)]
    assert [figure.kind for figure in figures] == ["matrix", "point", "histogram"]
    assert sum(figures[0].columns[2].values) == 60
    assert any(item.name == "X-cross #1" for item in found.evidence if isinstance(item, Fact))
    assert found.provenance.data[0][1] == data.fingerprint
    assert found.provenance.cost.forward_rows == 120


def test_figures_can_be_drawn():
    from robust.report.charts import still

    x = np.random.default_rng(0).dirichlet(np.ones(3), size=60)
    for item in agreement(lambda x: x, lambda x: np.sqrt(x), [x]).l2r.evidence:
        if isinstance(item, Figure):
            assert still(item)


def test_random_samples_are_told_and_only_warn(detectors):
    found = agreement(*detectors, rows=50)
    (check,) = (check for check in found.l2r.validity if check.name == "representative samples")
    assert not check.passed
    assert check.bias == "none"
    assert any(isinstance(item, Finding) and "random" in item.text for item in found.l2r.evidence)
    given = agreement(*detectors, [samples(50), np.zeros((50, 4), dtype=np.float32)])
    assert all(check.passed for check in given.l2r.validity)
    assert "The inputs are random" in found.report()
    assert "The inputs are random" not in given.report()


def test_a_model_compared_with_itself_is_invalid_unless_meant(detectors, tmp_path):
    a, _ = detectors
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(a.read_bytes())
    found = agreement(a, copy, rows=30)
    assert (found.l2r < 1e6).status == "INVALID"
    assert (found.acc > 1e-6).status == "INVALID"
    meant = load_runner(a)
    assert (agreement(meant, meant, rows=30).l2r < 1e6).status != "INVALID"
    one, two = (as_model(lambda x: x[:, :2] * 1.0, name=name) for name in "ab")
    weights = {"weights": lambda: "equal"}
    one, two = (Model(name=m.name, framework="callable", forward=m.forward, **weights) for m in (one, two))
    assert (agreement(one, two, samples()).l2r < 1e6).status == "INVALID"


# --- reproducible, and what is refused ------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_numbers(detectors):
    one, again, other = (agreement(*detectors, rows=15, seed=seed) for seed in (1, 1, 2))
    assert [row.metrics for row in one.rows] == [row.metrics for row in again.rows]
    assert (one.l2r.lower, one.l2r.upper) == (again.l2r.lower, again.l2r.upper)
    assert [row.metrics for row in one.rows] != [row.metrics for row in other.rows]


def test_the_batch_does_not_matter(detectors):
    x = [samples(70), samples(70, 1)[:, :4]]
    one = agreement(*(load_runner(path, batch_size=1) for path in detectors), x)
    many = agreement(*(load_runner(path, batch_size=64) for path in detectors), x)
    for a, b in zip(one.rows, many.rows, strict=True):
        assert a.metrics.l2r == pytest.approx(b.metrics.l2r, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"level": 1.0}, "level got 1.0"),
        ({"level": 0.5}, "level got 0.5"),
        ({"seed": -1}, "seed got -1"),
        ({"classifier": "yes"}, "classifier must be True, False or None"),
        ({"rows": 0}, "rows must be a whole number of at least 1"),
        ({"value_range": (1.0, 0.0)}, "a range goes from low to high"),
        ({"value_range": (0.0, float("nan"))}, "two finite numbers"),
        ({"inputs_ch_position": "nchw"}, "inputs_ch_position must be"),
        ({"outputs": [np.zeros((10, 3))]}, "pass data too"),
        ({"data": [np.zeros((5, 6))]}, "got 1 input arrays for 2 inputs"),
        ({"data": [np.zeros((5, 7)), np.zeros((5, 4))]}, "'frame' takes rows of shape"),
        ({"data": [np.zeros((5, 6)), np.zeros((4, 4))]}, "different numbers of rows|has 4"),
        ({"data": [np.full((5, 6), np.nan), np.zeros((5, 4))]}, "NaN or infinity"),
        ({"data": [np.zeros((5, 6)), np.zeros((5, 4))], "value_range": (0, 1)}, "with data given it has no meaning"),
        ({"data": [np.array([["a"] * 6]), np.zeros((1, 4))]}, "numbers, .* are needed"),
        ({"data": [np.zeros((5, 6)), np.zeros((5, 4))], "outputs": "truth.npy"}, "outputs must be an array"),
        ({"data": "missing.npz"}, "missing.npz"),
        ({"data": "a.npz", "outputs": [np.zeros(3)]}, "outputs are files too"),
    ],
)
def test_bad_options(detectors, options, match):
    data = options.pop("data", None)
    with pytest.raises(InvalidInput, match=match):
        agreement(*detectors, data, **options)


def test_models_with_other_numbers_of_tensors(detectors, classifiers):
    with pytest.raises(InvalidInput, match="as many of both"):
        agreement(detectors[0], classifiers[0])


def test_models_that_do_not_say_what_they_take_need_samples():
    with pytest.raises(InvalidInput, match="pass data"):
        agreement(lambda x: x, lambda x: x)
    shown = as_model(lambda x: x, name="m")
    with pytest.raises(InvalidInput, match="pass data"):
        agreement(shown, shown)


def test_a_model_that_breaks_is_named(tmp_path):
    with pytest.raises(ModelFault, match="NaN or infinite"):
        agreement(lambda x: x, lambda x: x * np.nan, [np.ones((3, 2))])
    with pytest.raises(ModelFault, match="first axis"):
        agreement(lambda x: x, lambda x: x[:1], [np.ones((3, 2))])


def test_outputs_of_other_sizes():
    with pytest.raises(InvalidInput, match="as many numbers from both"):
        agreement(lambda x: x, lambda x: x[:, :2], [np.ones((3, 3))])


def test_validation_data_as_samples(detectors):
    data = ValidationData(inputs=(samples(5), np.zeros((5, 4), dtype=np.float32)), outputs=None, notes=("by hand",))
    found = agreement(*detectors, data)
    assert found.log[0] == "by hand"
    assert found.n == 5


# --- the audit's check ----------------------------------------------------------------------------------------


def test_the_check_of_the_catalogue():
    (check,) = CHECKS
    assert (check.code, check.name) == ("QNT002", "agreement")
    x = np.random.default_rng(0).dirichlet(np.ones(3), size=60)
    subject = Subject(
        model=as_model(lambda x: np.sqrt(x), output="logits", name="new"),
        reference=as_model(lambda x: x, output="logits", name="old"),
        task="classification",
        test=as_data(x, np.zeros(60, dtype=int)),
    )
    found = check.run(subject, AgreementOptions())
    assert found.name == "X-cross l2r"
    assert found.value > 0.01
    assert check.run(subject, AgreementOptions(figure="acc")).value == 1.0
    assert [name for name, _ in found.provenance.models] == ["new", "old"]


def test_acc_of_one_number_a_row_advises_what_helps():
    x = np.random.default_rng(0).normal(size=(30, 2))
    found = agreement(lambda x: x[:, :1], lambda x: x[:, :1] + 1e-3, as_data(x))
    with pytest.raises(InvalidInput, match="one number a row.* by rmse or l2r") as told:
        _ = found.acc
    assert "classifier=True" not in str(told.value)

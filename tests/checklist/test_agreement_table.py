"""E1 to E12, E23, E26 and E27: the X-cross table of two models."""

import re

import numpy as np
import pytest

from robust import InvalidInput, agreement, cost
from robust.metrics.label_pairs import confusion_counts

#: The table of figures, as it is published: seven decimals, accuracy in per cent.
COLUMNS = "Output acc rmse mae l2r mean std nse cos tensor"
FIGURES = ("rmse", "mae", "l2r", "mean", "std", "nse", "cos")
#: Predictions of 128 samples by class, rows actual: the published confusion matrix of ten digits.
PUBLISHED = """C0 11 . . . 1 . . . . .
C1 . 19 . . . . . . . .
C2 . . 16 . . . . . . .
C3 . . . 11 . . . . . .
C4 . . . . 15 . . . . .
C5 . . . . . 7 . . . .
C6 . . . . . . 10 . . .
C7 . . . . . . . 9 . .
C8 . . . 1 . . . . 17 .
C9 1 . . . . . . . . 10"""


def by_name(found):
    return {row.name: row for row in found.rows}


@pytest.fixture
def digits(replay, rows):
    """Two models with the same published predictions, their samples, and the truth one-hot."""
    counts = np.array(
        [[0 if cell == "." else int(cell) for cell in line.split()[1:]] for line in PUBLISHED.splitlines()]
    )
    actual, predicted = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    scores = np.full((128, 10), 0.01) + 0.9 * np.eye(10)[predicted]
    nearly = scores.copy()
    nearly[:, [0, 1]] = nearly[:, [1, 0]] * 1e-9 + nearly[:, [0, 1]] * (1 - 1e-9)
    return replay(scores), replay(nearly), rows(128), np.eye(10)[actual]


@pytest.fixture
def lists():
    """Two real outputs (n, 3) of a regressor."""
    rng = np.random.default_rng(3)
    ref = rng.normal(size=(40, 3))
    return ref, ref + rng.normal(size=(40, 3)) / 50 + 0.003


def test_E01_scalars_alone_and_all_data_saved(classifier, folder, run, archive):
    two = classifier(folder / "a.onnx"), classifier(folder / "b.onnx", integer="int8")
    run("compare", *two, "--out", "out", "--batch", 25, "--range", -2, 2)
    kept = archive("out/network_val_io.npz")
    assert sorted(kept) == ["c_inputs_1", "c_outputs_1", "m_inputs_1", "m_outputs_1"]
    p = (kept["c_outputs_1"].astype(float) + 128) / 256  # a script of one's own starts from the raw numbers
    rmse = np.sqrt(np.mean((kept["m_outputs_1"].astype(float) - p) ** 2))
    assert f" {rmse:.7f} " in (folder / "out" / "network_validate_report.txt").read_text()


def test_E02_complexity_and_memory_need_no_data_and_figures_fit_all_models(classifier, folder, lists, replay, rows):
    found = cost(classifier(folder / "a.onnx"))
    assert (int(found.macc), int(found.rom), int(found.ram)) == (24, 96, 40)
    regressor = by_name(agreement(*map(replay, lists), rows(40)))["X-cross #1"]
    assert regressor.metrics.acc is None
    assert regressor.confusion is None
    assert None not in [getattr(regressor.metrics, name) for name in FIGURES]


def test_E03_roles_of_inputs_predictions_references_and_truth(digits):
    first, second, x, truth = digits
    found = agreement(first, second, x, outputs=truth)
    kept = found.tensors
    assert np.array_equal(kept.m_inputs[0], x)
    assert np.array_equal(kept.c_inputs[0], x)
    assert kept.m_outputs[0].shape == kept.c_outputs[0].shape == (128, 10)
    names = by_name(found)
    error = truth - kept.c_outputs[0]
    assert names["candidate #1"].metrics.rmse == pytest.approx(np.sqrt(np.mean(error**2)))
    cross = kept.m_outputs[0] - kept.c_outputs[0]
    assert names["X-cross #1"].metrics.rmse == pytest.approx(np.sqrt(np.mean(cross**2)))


def test_E04_rows_columns_and_decimals_of_the_table(digits):
    first, second, x, truth = digits
    lines = agreement(first, second, x, outputs=truth).table().splitlines()
    assert (lines[0], lines[2].split()) == ("Evaluation report (summary)", COLUMNS.split())
    body = [re.split(r"\s{2,}", line) for line in lines[4:-1]]
    assert [cells[0] for cells in body] == ["candidate #1", "reference #1", "X-cross #1"]
    for cells in body:
        assert re.fullmatch(r"\d+\.\d\d%", cells[1])
        assert all(re.fullmatch(r"-?\d+\.\d{7}", cell) for cell in cells[2:9])
        assert cells[9].endswith("(10,), m_id=[1]")
    assert [cells[1] for cells in body] == ["97.66%", "97.66%", "100.00%"]
    alone = agreement(first, second, x).table().splitlines()[4:-1]
    assert [line.split("  ")[0] for line in alone] == ["X-cross #1"]  # without truth the cross line alone


def test_E05_formulas(lists, replay, rows):
    ref, pred = lists
    metrics = by_name(agreement(replay(ref), replay(pred), rows(40)))["X-cross #1"].metrics
    d, eps = ref - pred, np.finfo(np.float32).eps
    expected = {
        "rmse": np.sqrt((d**2).mean()),
        "mae": np.abs(d).mean(),
        "l2r": np.sqrt(np.sum(np.square(d))) / (np.sqrt(np.sum(np.square(pred))) + eps),
        "mean": np.mean(d),
        "std": np.std(d),
        "nse": 1 - np.mean(d**2) / (np.std(ref) ** 2 + eps),
        "cos": np.dot(ref.ravel(), pred.ravel()) / (np.linalg.norm(ref) * np.linalg.norm(pred)),
        "mse": (d**2).mean(),
        "var": np.var(d, ddof=1),
    }
    assert {name: getattr(metrics, name) for name in expected} == pytest.approx(expected, rel=1e-12)
    assert metrics.mean < 0  # the prediction is too high


def test_E05_accuracy_and_f1_are_scikit_learns(replay, rows):
    from sklearn.metrics import accuracy_score, f1_score

    rng = np.random.default_rng(0)
    ref, pred = rng.dirichlet(np.ones(4), 60), rng.dirichlet(np.ones(4), 60)
    metrics = by_name(agreement(replay(ref), replay(pred), rows(60)))["X-cross #1"].metrics
    one, two = ref.argmax(axis=1), pred.argmax(axis=1)
    assert metrics.acc == accuracy_score(one, two)
    assert metrics.f1 == pytest.approx(f1_score(one, two, average="macro"))


def test_E06_accuracy_only_of_probabilities_or_on_demand(replay, rows):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(30, 4)) * 3
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for values, classifier, expected in (
        (probabilities, None, 1.0),
        (probabilities * 1.0005, None, 1.0),  # within a tolerance
        (logits, None, None),
        (logits, True, 1.0),
        (probabilities, False, None),
    ):
        found = agreement(replay(values), replay(values + 1e-6), rows(30), classifier=classifier)
        row = by_name(found)["X-cross #1"]
        assert row.metrics.acc == expected
        assert (row.confusion is None) == (expected is None)
        assert ("n.a." in found.table()) == (expected is None)


def test_E07_confusion_matrix_of_the_published_example(digits):
    first, second, x, truth = digits
    found = agreement(first, second, x, outputs=truth)
    head, rule, *body = by_name(found)["candidate #1"].confusion.text().splitlines()
    assert head == "10 classes (128 samples)"
    assert set(rule) == {"-"}
    assert [" ".join(line.split()) for line in body] == PUBLISHED.splitlines()
    cross = [line.split() for line in by_name(found)["X-cross #1"].confusion.text().splitlines()[2:]]
    diagonal = [int(line[1 + i]) for i, line in enumerate(cross)]
    assert diagonal == [12, 19, 16, 12, 16, 7, 10, 9, 17, 10]
    assert all(cell == "." for i, line in enumerate(cross) for j, cell in enumerate(line[1:]) if i != j)


@pytest.mark.parametrize(("k", "printed"), [(20, True), (21, False)])
def test_E07_confusion_matrix_up_to_20_classes(replay, rows, k, printed):
    scores = np.eye(k)
    text = agreement(replay(scores), replay(scores * 0.999 + 0.001 / k), rows(k)).report()
    assert f"{k} classes ({k} samples)" in text
    assert (f"C{k - 1}" in text) is printed


def test_E08_three_sections_with_their_notes(classifier, folder):
    two = classifier(folder / "a.onnx"), classifier(folder / "b.onnx", integer="int8")
    x = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    text = agreement(*two, x, outputs=np.eye(4, dtype=np.float32)[np.arange(30) % 4]).report()
    titles = [line for line in text.splitlines() if "ccuracy report #" in line]
    assert titles == [
        "Accuracy report #1 for the candidate model",
        "Accuracy report #1 for the reference model",
        "Cross accuracy report #1 (reference vs candidate)",
    ]
    candidate, reference, cross = (part.split("acc=")[0] for part in text.split("ccuracy report #1")[1:])
    for note in (
        "computed against the provided ground truth values",
        "30 samples (4 items per sample)",
        "data type is different: r/float32 instead p/int8",
        "p/int8 data are dequantized with s=0.003906 zp=-128",
    ):
        assert f"- {note}\n" in candidate
    assert "int8" not in reference
    assert "- the output of the reference model is used as ground truth/reference value" in cross


def test_E09_quantized_tensors_are_dequantized_and_inputs_quantized(classifier, folder):
    two = classifier(folder / "a.onnx"), classifier(folder / "b.onnx", integer="int8")
    x = np.random.default_rng(0).uniform(-2, 2, size=(50, 6)).astype(np.float32)
    found = agreement(*two, x)
    fed = found.tensors.c_inputs[0]
    assert fed.dtype == np.int8
    assert np.array_equal(fed, np.clip(np.round(x.astype(float) / np.float32(0.02)) + 3, -128, 127))
    real = (found.tensors.c_outputs[0].astype(np.int32) + 128) / 256
    d = found.tensors.m_outputs[0].astype(float) - real
    metrics = by_name(found)["X-cross #1"].metrics
    assert metrics.rmse == pytest.approx(np.sqrt(np.mean(d**2)), rel=1e-12)
    assert 0 < metrics.rmse < 0.02
    assert metrics.acc > 0.9


@pytest.mark.parametrize("integer", ["int8", None])
def test_E10_uint8_samples_for_another_input_are_refused(classifier, folder, integer):
    two = classifier(folder / "a.onnx", integer=integer), classifier(folder / "b.onnx", integer="int8", zero=-127)
    want = integer or "float32"
    with pytest.raises(InvalidInput, match=f"input 'x' is {want}, got uint8, which is not converted"):
        agreement(*two, np.zeros((5, 6), dtype=np.uint8))


def test_E11_the_reference_can_be_left_out(classifier, folder, run, archive):
    candidate = classifier(folder / "b.onnx", integer="int8")
    x = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
    np.savez("val.npz", x_test=x, y_test=np.eye(4, dtype=np.float32)[np.arange(8) % 4])
    code, text = run("compare", candidate, "--no-reference", "--inputs", "val.npz")
    assert code == 0
    lines = [line for line in text.splitlines() if re.match(r"(candidate|reference|X-cross) #", line)]
    assert [line.split("  ")[0] for line in lines] == ["candidate #1"]
    assert text.splitlines()[-1] == "no reference was run: nothing is judged"
    assert "m_outputs_1" not in archive("robust-compare/network_val_io.npz")


def test_E12_one_hot_truth_and_labels_as_a_documented_extension(digits):
    first, second, x, truth = digits
    labels = truth.argmax(axis=1)
    hot, coded = (by_name(agreement(first, second, x, outputs=y))["candidate #1"] for y in (truth, labels))
    assert hot.metrics.acc == coded.metrics.acc == 125 / 128
    assert any("labels are taken as one-hot rows of 10 classes" in note for note in coded.notes)
    assert np.array_equal(hot.confusion.counts, confusion_counts(labels, first_choice(first, x), 10))
    with pytest.raises(InvalidInput, match=r"has the labels \[10\], the output has 10 classes: 0 … 9 would be right"):
        agreement(first, second, x, outputs=np.where(labels == 9, 10, labels))
    with pytest.raises(InvalidInput, match="has 3 values a row, the output 10"):
        agreement(first, second, x, outputs=np.zeros((128, 3)))


def first_choice(model, x):
    from robust import as_runner

    return as_runner(model).run([x])[0][0].argmax(axis=1)


def test_E23_the_last_line_and_the_limit_of_a_hundredth(detector, folder, run):
    near, far, base = (detector(folder / f"{i}.onnx", noise=noise) for i, noise in enumerate((1e-5, 0.5, 0)))
    code, text = run("compare", base, near)
    last = text.splitlines()[-2:]
    for k, line in enumerate(last, 1):
        assert re.fullmatch(rf"X-cross \(l2r\) #{k} error : \d\.\d{{8}}e-\d\d \(expected to be < 0\.01\)", line)
    assert code == 0
    assert agreement(base, near).close
    assert run("compare", base, far)[0] == 1
    assert not agreement(base, far).close
    # Ten samples that agree prove nothing of others: the gate has a bound, and says so.
    assert (agreement(base, near).l2r < 0.01).status == "INCONCLUSIVE"
    assert (agreement(base, far).l2r < 0.01).status != "PASS"


def test_E26_how_to_read_the_figures_is_said(digits, lists, replay, rows, detector, folder):
    first, second, x, truth = digits
    classes = agreement(first, second, x, outputs=truth).report()
    assert "Against one-hot rows rmse, mae and l2r are large even for right answers, and larger still" in classes
    assert "and the X-cross lines." in classes
    assert "For a regressor acc has no meaning; give real values" in agreement(*map(replay, lists), rows(40)).report()
    assert (
        "The inputs are random"
        in agreement(detector(folder / "a.onnx"), detector(folder / "b.onnx", noise=0.1)).report()
    )
    assert "The inputs are random" not in classes


def test_E27_every_output_is_measured_by_itself(detector, folder):
    two = detector(folder / "a.onnx"), detector(folder / "b.onnx", noise=0.05)
    x = [np.random.default_rng(0).normal(size=(20, k)).astype(np.float32) for k in (6, 4)]
    found = agreement(*two, x)
    names = by_name(found)
    assert list(names) == ["X-cross #1", "X-cross #2"]
    for k, row in enumerate(names.values()):
        r, p = (outputs[k].astype(float) for outputs in (found.tensors.m_outputs, found.tensors.c_outputs))
        assert row.metrics.mae == pytest.approx(np.abs(r - p).mean(), rel=1e-12)
    assert names["X-cross #1"].metrics.acc is not None  # scores of classes
    assert names["X-cross #2"].metrics.acc is None  # a state

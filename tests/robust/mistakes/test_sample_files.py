import csv

import numpy as np
import pytest

from robust import InvalidInput, as_data, as_model
from robust.mistakes.sample_files import save_error_samples

SCORES = as_model(lambda x: x[:, :2], output="probabilities", task="classification", classes=("=cmd()", "ok"))


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def wrong_rows(n, seed=0):
    top = np.random.default_rng(seed).permutation(n) / n * 0.4 + 0.55
    x = np.column_stack([top, 1 - top, np.arange(n)]).astype(np.float32)
    return x, np.array(["ok"] * n)


def test_a_column_that_is_a_slice_and_unused_is_written_once(tmp_path):
    site = np.array(["a", "b"])
    data = as_data(np.array([[0.75, 0.25], [0.25, 0.75]]), ["ok", "ok"], slices={"site": site}, unused={"site": site})
    (path,) = save_error_samples(SCORES, data, tmp_path)
    assert [line for line in rows_of(path) if line[0] == "metadata"] == [["metadata", "site", "a"]]


def test_a_file_holds_input_labels_scores_and_metadata(tmp_path):
    x = np.array([[0.75, 0.25, -3.5], [0.25, 0.75, 1.0]])
    data = as_data(
        x, ["ok", "ok"], names=["p", "q", "@z"], slices={"site": ["=HYPERLINK()", "b"]}, ids=["r1", "r2"], order=[1, 2]
    )
    (path,) = save_error_samples(SCORES, data, tmp_path)
    assert path == tmp_path / "error_samples" / "error_001.csv"
    assert rows_of(path) == [
        ["part", "name", "value"],
        ["row", "id", "r1"],
        ["label", "true", "ok"],
        ["label", "predicted", "'=cmd()"],
        ["confidence", "'=cmd()", "0.75"],
        ["confidence", "ok", "0.25"],
        ["metadata", "site", "'=HYPERLINK()"],
        ["metadata", "order", "1"],
        ["input", "p", "0.75"],
        ["input", "q", "0.25"],
        ["input", "'@z", "-3.5"],
    ]


def test_the_most_confident_come_first_and_the_cap_is_per_true_class(tmp_path):
    x, y = wrong_rows(30)
    x[0, :2] = 0.1, 0.9  # one row of the other class, wrong the other way
    y = np.where(np.arange(30) == 0, "=cmd()", y)
    paths = save_error_samples(SCORES, (x, y), tmp_path, most_per_class=4)
    assert [path.name for path in paths] == [f"error_{i:03d}.csv" for i in range(1, 6)]
    tops, truths = [], []
    for path in paths:
        cells = {(part, name): value for part, name, value in rows_of(path)}
        tops.append(max(float(cells["confidence", "'=cmd()"]), float(cells["confidence", "ok"])))
        truths.append(cells["label", "true"])
    assert tops == sorted(tops, reverse=True)
    assert sorted(truths) == ["'=cmd()", "ok", "ok", "ok", "ok"]
    assert tops[0] == pytest.approx(float(x[:, :2].max()))


def test_samples_of_an_earlier_run_go_and_other_files_stay(tmp_path):
    x, y = wrong_rows(5)
    assert len(save_error_samples(SCORES, (x, y), tmp_path)) == 5
    own = tmp_path / "error_samples" / "notes.txt"
    own.write_text("mine")
    (own.parent / "error_900.csv").write_text("mine")
    assert len(save_error_samples(SCORES, (x[:2], y[:2]), tmp_path)) == 2
    left = sorted(path.name for path in (tmp_path / "error_samples").iterdir())
    assert left == ["error_001.csv", "error_002.csv", "error_900.csv", "notes.txt"]
    (own.parent / "error_003.csv").write_text("mine")
    with pytest.raises(InvalidInput, match=r"holds 'error_samples/error_003\.csv'"):
        save_error_samples(SCORES, (x, y), tmp_path)


def test_images_are_flattened_and_codes_shown_as_their_labels(tmp_path):
    image = np.arange(8.0).reshape(2, 2, 2)
    (path, _) = save_error_samples(lambda x: np.zeros(len(x), int), (image, [1, 1]), tmp_path)
    assert [row[1:] for row in rows_of(path) if row[0] == "input"] == [
        ["x[0,0]", "0.0"], ["x[0,1]", "1.0"], ["x[1,0]", "2.0"], ["x[1,1]", "3.0"],
    ]  # fmt: skip
    data = as_data(np.array([["small"], ["large"]]), [1, 1], names=["size"])
    (path, _) = save_error_samples(lambda x: np.zeros(len(x), int), data, tmp_path)
    assert rows_of(path)[-1] == ["input", "size", "small"]


def test_no_mistakes_no_files(tmp_path):
    assert save_error_samples(lambda x: np.zeros(len(x), int), (np.zeros((3, 1)), [0, 0, 0]), tmp_path) == ()


@pytest.mark.parametrize("most", [0, -1, 1.5, True, "20"])
def test_a_cap_is_a_whole_number(tmp_path, most):
    with pytest.raises(InvalidInput, match="most_per_class got"):
        save_error_samples(SCORES, wrong_rows(3), tmp_path, most_per_class=most)


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "error_samples").write_text("")
    with pytest.raises(InvalidInput, match="cannot be written"):
        save_error_samples(SCORES, wrong_rows(3), tmp_path)

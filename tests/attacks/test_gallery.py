"""What an audit shows of an attack: rows, changes, pictures, lines and classes, each against what can be worked out."""

import numpy as np
import pytest

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.adversarial_examples import attacked_rows
from robust.attacks.gallery_changes import changed_features
from robust.attacks.gallery_images import amplification, image_layout
from robust.attacks.gallery_lines import line_layout
from robust.attacks.noise import RandomNoise
from robust.data.live import as_data
from robust.data.schema import build_schema
from robust.evidence import Figure, Finding, Gallery, Rows, Slices, Table
from robust.intervals.clopper_pearson import clopper_pearson
from robust.models.conversion import as_model


def only(measured, kind):
    found = [item for item in measured.evidence if isinstance(item, kind)]
    assert len(found) == 1
    return found[0]


def threshold():
    """Decides by the sign of the first feature; the closed form of the smallest change is its size."""
    return as_model(lambda x: (x[:, 0] <= 0).astype(int), name="sign", classes=("above", "below"))


class TestFragileRows:
    x = np.array([[-3.0, 5.0], [-0.5, 5.0], [0.25, 5.0], [0.75, 5.0], [9.0, 5.0]])
    y = ("below", "below", "above", "above", "above")

    def test_the_smallest_change_comes_first_and_is_the_closed_form(self):
        m = robust_accuracy(threshold(), as_data(self.x, list(self.y), ids=[10, 11, 12, 13, 14]), eps=1.0)
        rows = only(m, Rows)
        assert rows.ids == (12, 11, 13)
        assert rows.values == pytest.approx([0.25, 0.5, 0.75], rel=0.01)
        assert rows.total == 3

    def test_changes_are_named_in_the_users_units_with_classes(self):
        m = robust_accuracy(threshold(), as_data(self.x, list(self.y), names=["dose", "age"]), eps={"dose": 1.0})
        table = only(m, Table)
        assert table.headings[2] == "share of eps, linf norm"
        assert [line[0] for line in table.rows] == ["2", "1", "3"]
        assert table.rows[0][1] == "above → below"
        assert table.rows[0][3].startswith("dose 0.25 → ")
        assert float(table.rows[0][3].split()[-1]) <= 0.0
        assert "age" not in str(table.rows)  # it did not move

    def test_they_are_those_of_attacked_rows(self):
        data = as_data(self.x, list(self.y))
        rows = only(robust_accuracy(threshold(), data, eps=1.0), Rows)
        found = attacked_rows(threshold(), data, eps=1.0)
        fragile = found.fragile(10)
        assert list(rows.ids) == fragile.tolist()
        assert rows.values == pytest.approx(found.size[fragile], rel=1e-3)

    def test_nothing_is_drawn_where_nothing_breaks(self):
        m = robust_accuracy(threshold(), as_data(self.x, list(self.y)), eps=1e-3)
        assert only(m, Rows).ids == ()
        assert not [item for item in m.evidence if isinstance(item, Table | Gallery | Slices)]

    def test_of_many_rows_those_of_the_smallest_margin_are_looked_at(self):
        def logits(x):
            return np.c_[-x, x]

        def gradients(x, cotangent):
            return logits(x), cotangent(logits(x)) @ [[-1.0], [1.0]]

        x = np.linspace(0.001, 0.9, 400)[::-1, None]
        line = as_model(logits, gradients=gradients, output="logits", name="line")
        rows = only(robust_accuracy(line, as_data(x, np.ones(400, dtype=int)), eps=1.0), Rows)
        # Bisection tells changes apart that differ by more than 1/256 of the way: about two rows of these.
        assert set(rows.ids[:3]) <= set(range(394, 400))
        assert rows.values[0] <= 2 / 256
        assert rows.total == 400
        assert "of the 256 whose margin was smallest" in rows.what

    def test_settings_of_attacks_do_not_repeat_a_hundred_budgets(self):
        x = np.random.default_rng(0).normal(size=(20, 100))
        m = robust_accuracy(
            threshold(), as_data(x, np.where(x[:, 0] > 0, "above", "below")), eps={f"x{j}": 0.1 for j in range(100)}
        )
        told = next(item.value for item in m.evidence if getattr(item, "name", "") == "what a pass means")
        assert "'x2': 0.1, …}" in told
        assert "x3'" not in told


class TestChanges:
    def test_groups_categories_and_numbers(self):
        schema = build_schema(
            {"red": {"one_hot": "colour"}, "blue": {"one_hot": "colour"}, "size": {"categories": ["S", "M", "L"]}},
            names=("age", "red", "blue", "size", "bmi"),
            shape=(5,),
        )
        old, new = np.array([40.0, 1, 0, 0, 22.0]), np.array([41.0, 0, 1, 2, 22.0])
        found = changed_features(old, new, schema, {"age": 2.0, "red": 1, "blue": 1, "size": 1})
        assert sorted(found) == [("age", "40", "41"), ("colour", "red", "blue"), ("size", "S", "L")]
        assert found[-1][0] == "age"  # half of its budget; the others spent all of theirs

    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            (1000.0, 1000.01, ("1000", "1000.01")),
            (1.0, 2.0, ("1", "2")),
            (0.0, 1e-9, ("0", "1e-09")),
            (29.8, 29.851, ("29.8", "29.851")),
        ],
    )
    def test_digits_tell_the_difference(self, old, new, told):
        schema = build_schema(None, names=("a",), shape=(1,))
        assert changed_features(np.array([old]), np.array([new]), schema, 1.0) == [("a", *told)]

    def test_missing_values_did_not_change(self):
        schema = build_schema(None, names=("a", "b"), shape=(2,))
        assert changed_features(np.array([np.nan, 1.0]), np.array([np.nan, 2.0]), schema, 1.0) == [("b", "1", "2")]


class TestImages:
    @pytest.mark.parametrize(
        ("shape", "layout"),
        [
            ((1, 8, 8), "cyx"),
            ((3, 32, 32), "cyx"),
            ((28, 28, 1), "yxc"),
            ((32, 32, 3), "yxc"),
            ((28, 28), "yx"),
            ((64,), None),
            ((5, 8, 8), None),
            ((2, 100), None),
        ],
    )
    def test_which_shapes_are_images(self, shape, layout):
        assert image_layout(shape) == layout

    @pytest.mark.parametrize(
        ("change", "span", "factor"), [(0.1, 1.0, 10), (0.03, 1.0, 20), (8.0, 255.0, 20), (2.0, 1.0, 1), (0.0, 1.0, 1)]
    )
    def test_the_factor_is_1_2_or_5_and_keeps_the_change_in_range(self, change, span, factor):
        assert amplification(change, span) == factor
        assert factor * change <= span or factor == 1

    @pytest.mark.parametrize("shape", [(1, 8, 8), (8, 8, 1), (8, 8)])
    def test_pixels_are_those_of_the_rows(self, shape):
        x = np.random.default_rng(0).random((6, 64)).reshape(6, *shape)
        x.reshape(6, -1)[:, 0] = [0.57, 0.45, 0.52, 0.1, 0.9, 0.3]

        def above(x):
            return (x.reshape(len(x), -1)[:, 0] > 0.5).astype(int)

        m = robust_accuracy(as_model(above, name="corner"), as_data(x, above(x), schema={"bounds": (0, 1)}), eps=0.1)
        gallery = only(m, Gallery)
        example = gallery.examples[0]
        assert [example.id for example in gallery.examples] == [2, 1, 0]
        assert example.words[0] == "1 → 0"
        original, adversarial, difference = example.pictures
        assert (original.width, original.height, original.channels) == (8, 8, 1)
        assert list(original.pixels) == np.round(x[2].ravel() * 255).astype(int).tolist()
        assert adversarial.pixels[0] < original.pixels[0]
        assert difference.channels == 3
        red, _, blue = difference.pixels[:3]
        assert blue > red  # darker is blue
        factor = float(difference.title.removeprefix("difference × "))
        assert factor >= 1
        assert example.words[2] == difference.title

    def test_the_difference_is_amplified_as_it_says(self):
        x = np.full((2, 3, 8, 8), 0.5)
        x[1] = 0.2

        def above(x):
            return (x.reshape(len(x), -1)[:, 0] > 0.49).astype(int)

        data = as_data(x, above(x), schema={"bounds": (0, 1)})
        example = only(robust_accuracy(as_model(above, name="corner"), data, eps=0.02), Gallery).examples[0]
        found = attacked_rows(as_model(above, name="corner"), data, eps=0.02)
        change = (found.near[0] - x[0]).astype(float)
        factor = float(example.pictures[2].title.removeprefix("difference × "))
        assert factor == amplification(float(np.abs(change).max()), 1.0)
        drawn = np.frombuffer(example.pictures[2].pixels, dtype=np.uint8).reshape(8, 8, 3)
        assert np.abs(drawn - (127.5 + 127.5 * factor * np.moveaxis(change, 0, -1))).max() <= 1.0

    def test_large_images_are_thinned_and_single_changed_pixels_stay_seen(self):
        x = np.full((2, 1, 200, 100), 0.5)
        x[1] = 0.2

        def above(x):
            return (x.reshape(len(x), -1)[:, 100 * 3 + 1] > 0.49).astype(int)  # no pixel that a stride of 4 keeps

        data = as_data(x, above(x), schema={"bounds": (0, 1)})
        noise = RandomNoise(eps={"x[0,3,1]": 0.1}, draws=20)
        m = robust_accuracy(as_model(above, name="one"), data, attack=noise)
        gallery = only(m, Gallery)
        difference = gallery.examples[0].pictures[2]
        assert (difference.height, difference.width) == (50, 25)
        assert set(difference.pixels) != {255}
        assert "one pixel of 4 × 4 is drawn" in gallery.note


class TestLines:
    @pytest.mark.parametrize(
        ("shape", "layout"),
        [
            ((1, 100), (100, 1, False)),
            ((100, 1), (100, 1, False)),
            ((3, 50), (50, 3, False)),
            ((50, 3), (50, 3, True)),
            ((2, 3), None),
            ((5,), None),
            ((20,), (20, 1, False)),
        ],
    )
    def test_which_shapes_are_series(self, shape, layout):
        names = tuple(f"x{j}" for j in range(int(np.prod(shape))))
        found = line_layout(build_schema(None, names=names, shape=shape))
        assert (None if found is None else (found.steps, found.channels, found.last)) == layout

    def test_named_features_in_order_are_a_series_and_others_are_not(self):
        def layout(names):
            return line_layout(build_schema(None, names=tuple(names), shape=(20,)))

        assert layout(f"lag_{j}" for j in range(5, 25)).first == 5
        assert layout(f"lag_{j}" for j in range(20, 0, -1)) is None
        assert layout(f"{'ab'[j % 2]}{j}" for j in range(20)) is None

    @pytest.mark.parametrize("shape", [(2, 30), (30, 2)])
    def test_lines_are_before_and_after_of_the_channel_that_changed(self, shape):
        rng = np.random.default_rng(1)
        x = rng.normal(size=(5, *shape))
        place = (1, 7) if shape[0] == 2 else (7, 1)
        x[(slice(None), *place)] = [0.2, -0.1, 3.0, -3.0, 4.0]

        def above(x):
            return (x[(slice(None), *place)] > 0).astype(int)

        name = f"x[{place[0]},{place[1]}]"
        m = robust_accuracy(as_model(above, name="step"), as_data(x, above(x)), eps={name: 0.5})
        figure = next(item for item in m.evidence if isinstance(item, Figure) and item.kind == "line")
        steps, values, series = (column.values for column in figure.columns)
        assert figure.title == "Row 1: 0 → 1"
        assert "channel 1" in figure.note
        assert steps == (*range(30), *range(30))
        assert series == ("original",) * 30 + ("adversarial",) * 30
        own = x[1, 1] if shape[0] == 2 else x[1, :, 1]
        assert values[:30] == pytest.approx(own, rel=1e-5)
        assert [j for j in range(30) if values[j] != values[30 + j]] == [7]

    def test_of_a_long_series_the_stretch_of_the_change_is_drawn(self):
        x = np.zeros((4, 1, 2000))
        x[:, 0, 1700] = [0.1, -0.1, 5.0, -5.0]

        def above(x):
            return (x[:, 0, 1700] > 0).astype(int)

        m = robust_accuracy(as_model(above, name="late"), as_data(x, above(x)), eps={"x[0,1700]": 0.5})
        figure = next(item for item in m.evidence if isinstance(item, Figure) and item.kind == "line")
        steps = figure.columns[0].values
        assert len(steps) == 600
        assert min(steps) <= 1700 <= max(steps)
        assert "of 2000" in figure.note


class TestClasses:
    def measured(self, near, far, **options):
        """Rows of class 1 are near the threshold, `near` of them within eps; those of class 0 are far."""
        x = np.concatenate([np.full(near, 0.1), np.full(50 - near, 5.0), np.full(far, -0.1), np.full(50 - far, -5.0)])
        x = x[:, None]
        y = (x[:, 0] > 0).astype(int)
        model = as_model(lambda x: (x[:, 0] > 0).astype(int), name="sign")
        return robust_accuracy(model, as_data(x, y, **options), eps=0.5)

    def test_shares_are_of_rows_that_are_right_with_simultaneous_bounds(self):
        m = self.measured(20, 1)
        table = only(m, Slices)
        worst, best = table.slices
        assert (worst.name, worst.n, worst.value, worst.note) == ("class=1", 50, 0.4, "20 of 50 broken")
        assert best.value == pytest.approx(0.02)
        closed = clopper_pearson(20, 50, level=1 - 0.05 / 2)
        assert (worst.lower, worst.upper) == pytest.approx((closed.lower, closed.upper))

    def test_a_class_that_is_proved_to_be_worse_is_a_finding(self):
        def findings(m):
            return [item.text for item in m.evidence if isinstance(item, Finding) and "most fragile" in item.text]

        assert findings(self.measured(20, 1))[0].startswith("class 1 is the most fragile: 40.0% of its rows")
        assert findings(self.measured(5, 4)) == []

    def test_groups_are_no_independent_rows(self):
        grouped = only(self.measured(20, 1, groups=np.arange(100) // 5), Slices)
        alone = only(self.measured(20, 1), Slices)
        assert grouped.slices[0].upper - grouped.slices[0].lower > alone.slices[0].upper - alone.slices[0].lower

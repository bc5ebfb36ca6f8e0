import numpy as np
import pytest

from robust.attacks.finds import no_finds
from robust.attacks.refill import Live, refilled
from robust.attacks.target import aim
from robust.data.live import as_data


@pytest.fixture
def target(linear):
    # Class 1 where the one feature is above 0; every row belongs to class 0.
    return aim(linear([[0.0], [1.0]]), as_data(np.array([[-1.0], [-2.0], [-3.0]]), [0, 0, 0]))


def offer(finds, offers):
    rows, points, runs = (np.array(column) for column in zip(*offers, strict=True))
    points = points[:, None].astype(float)
    return finds.record(rows, points, finds.target.scores(points), runs)


def test_the_largest_loss_is_kept_until_a_point_breaks_the_row(target):
    finds = no_finds(target)
    assert offer(finds, [(0, -0.5, 0), (1, -1.5, 0)]).tolist() == [False, False]
    assert finds.found[:, 0].tolist() == [-0.5, -1.5, -3.0]
    assert offer(finds, [(0, -0.7, 0), (1, 0.1, 0)]).tolist() == [False, True]
    assert finds.found[:, 0].tolist() == [-0.5, 0.1, -3.0]
    assert finds.broken.tolist() == [False, True, False]
    offer(finds, [(1, -0.01, 0)])
    assert finds.found[1, 0] == 0.1


def test_the_earliest_run_wins_whatever_the_order(target):
    offers = [(0, 0.9, 2), (0, 0.2, 1), (0, 0.5, 4), (1, -0.5, 1), (1, -0.5, 0), (1, -0.9, 3), (2, -0.1, 0)]
    offers.append((2, 0.3, 5))
    for order in (np.arange(8), np.arange(8)[::-1], np.random.default_rng(0).permutation(8)):
        together, apart = no_finds(target), no_finds(target)
        offer(together, [offers[i] for i in order])
        for i in order:
            offer(apart, [offers[i]])
        for finds in (together, apart):
            assert finds.found[:, 0].tolist() == [0.2, -0.5, 0.3]
            assert finds.runs.tolist() == [1, 0, 5]
            assert finds.broken.tolist() == [True, False, True]


def test_points_that_wait_are_judged(target):
    finds = no_finds(target)
    finds.wait(np.array([2]), np.array([[0.4]]))
    assert not finds.broken.any()
    finds.judge()
    assert finds.broken.tolist() == [False, False, True]
    finds.judge()


def test_a_batch_is_kept_full_and_unwanted_jobs_never_enter():
    sizes, entered, left = [], [], np.random.default_rng(0).integers(1, 30, 500)

    class Nothing:
        def part(self, keep):
            return self

        def joined(self, other):
            return self

    def enter(jobs):
        entered.extend(jobs.tolist())
        return Live(rows=jobs, ball=Nothing())

    def step(live):
        sizes.append(len(live.rows))
        left[live.rows] -= 1
        going = left[live.rows] > 0
        return live.part(going) if going.any() else None

    refilled(np.arange(500), batch=64, enter=enter, step=step, wanted=lambda jobs: jobs % 5 != 0)
    assert entered == [job for job in range(500) if job % 5]
    assert (left[np.arange(500) % 5 != 0] == 0).all()
    assert max(sizes) == 64
    assert np.mean([size > 32 for size in sizes[:-30]]) == 1  # until no job waits

"""Metrics by name."""

import pytest

from robust.errors import InvalidInput
from robust.metrics.catalogue import METRICS, find_metric


def test_every_metric_is_found_by_its_name():
    assert [find_metric(metric.name) for metric in METRICS] == list(METRICS)


@pytest.mark.parametrize("name", ["acuracy", "", None])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(InvalidInput, match=r"no metric is named .*accuracy, f1, log_loss, auc, rmse, mae, r2"):
        find_metric(name)

"""Counts that cost next to nothing, for the Prometheus page.

prometheus-client's own children take a lock for each bucket and label, some 3 microseconds a call, six calls
a request: as much as all the rest of the gateway's own work. In a single-threaded loop a dictionary will do;
the page is still written by the library, from what these collect.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

_Labels = tuple[str, ...]


class Tally(Collector):
    """A counter.

    Args:
        name: Its name, without `_total`.
        text: What it counts.
        labels: Names of its labels.
    """

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._values: dict[_Labels, float] = {}

    def add(self, labels: _Labels, amount: float = 1.0) -> None:
        """Count."""
        self._values[labels] = self._values.get(labels, 0.0) + amount

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give the series."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in list(self._values.items()):
            family.add_metric(labels, value)
        yield family


class Times(Collector):
    """A histogram of seconds.

    Args:
        name: Its name.
        text: What is measured.
        labels: Names of its labels.
        bounds: Upper bounds of the buckets, seconds, smallest first.
    """

    def __init__(self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._bounds = list(bounds)
        self._values: dict[_Labels, list[float]] = {}

    def add(self, labels: _Labels, seconds: float) -> None:
        """Measure one."""
        row = self._values.get(labels)
        if row is None:
            row = self._values[labels] = [0.0] * (len(self._bounds) + 2)
        row[bisect_left(self._bounds, seconds)] += 1
        row[-1] += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Give the series."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        names = [str(float(bound)) for bound in self._bounds] + ["+Inf"]
        for labels, row in list(self._values.items()):
            count, buckets = 0.0, []
            for name, number in zip(names, row[:-1], strict=True):
                count += number
                buckets.append((name, count))
            family.add_metric(labels, buckets, row[-1])
        yield family

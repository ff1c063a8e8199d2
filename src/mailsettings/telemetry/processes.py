"""Memory, processor time and open files of all worker processes of this server, by the usual names `process_…`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

_TOGETHER: Mapping[str, Callable[[Sequence[float]], float]] = {
    # The oldest start and the process that is nearest to its limit; everything else adds up.
    "process_start_time_seconds": min,
    "process_max_fds": min,
}


class ProcessesCollector(Collector):
    """The figures of the processes that *processes* returns, together; without /proc there are none."""

    def __init__(self, processes: Callable[[], Sequence[int]]) -> None:
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        """Return one metric for each figure."""
        found: dict[str, list[Metric]] = {}
        for process in self._processes():
            for metric in ProcessCollector(pid=partial(str, process), registry=None).collect():
                found.setdefault(metric.name, []).append(metric)
        for metrics in found.values():
            yield _together(metrics)


def _together(metrics: Sequence[Metric]) -> Metric:
    first = metrics[0]
    combined = _TOGETHER.get(first.name, sum)([metric.samples[0].value for metric in metrics])
    first.samples = [first.samples[0]._replace(value=combined)]
    return first

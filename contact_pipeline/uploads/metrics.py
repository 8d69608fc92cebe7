"""What Prometheus reads: the ledger's numbers, and this process's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from contact_pipeline.database.measures import Measures, measure
from contact_pipeline.uploads.auth import Database
from contact_pipeline.uploads.kept import Kept

_FRESH_SECONDS: Final = 60.0

OWN: Final = CollectorRegistry()

RECEIVED_BYTES: Final = Counter(
    "contact_pipeline_received_bytes", "Bytes of chunks that this process has passed on to S3", registry=OWN
)
ANSWERS: Final = Counter("contact_pipeline_answers", "Answers of this process, by status", ["status"], registry=OWN)


class LedgerCollector(Collector):
    """Asks the ledger, at most once a minute, however many ask this."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._measures = Kept(_FRESH_SECONDS, self._measure)

    def _measure(self) -> Measures:
        with self._database() as connection, connection.transaction():
            connection.execute("SET LOCAL statement_timeout = '20s'")
            return measure(connection)

    def collect(self) -> Iterator[Metric]:
        """The ledger's numbers."""
        found = self._measures()
        for name, what, label, numbers in (
            ("imports", "Imports by state", "state", found.imports),
            ("rows", "Rows of imports that have succeeded, by what became of them", "outcome", found.rows),
            ("rejected_rows_of_the_day", "Rejected rows of the last 24 hours, by code", "code", found.rejected),
            ("failed_imports_of_the_day", "Imports that failed in the last 24 hours, by code", "code", found.failed),
        ):
            family = GaugeMetricFamily(f"contact_pipeline_{name}", what, labels=[label])
            for value, number in sorted(numbers.items()):
                family.add_metric([value], number)
            yield family
        for name, what, amount in (
            ("due_launches", "Launches that are due and that no run has taken", found.due),
            ("oldest_due_launch_seconds", "How long the oldest of them has been due", found.oldest_due_seconds),
            ("relaunches_of_the_day", "Launches again of the last 24 hours, by faults outside files", found.relaunches),
            ("oldest_queued_import_seconds", "Age of the oldest import that is queued", found.oldest_waiting_seconds),
        ):
            yield GaugeMetricFamily(f"contact_pipeline_{name}", what, value=amount)

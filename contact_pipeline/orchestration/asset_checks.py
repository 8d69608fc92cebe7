"""Checks of the asset `contacts`, partition by partition: they run behind each import, and again when asked to."""

import warnings
from collections.abc import Callable
from typing import Final

import dagster as dg

from contact_pipeline.database import queries
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord, ImportState
from contact_pipeline.importing import checking
from contact_pipeline.importing.checking import Checked
from contact_pipeline.orchestration.assets import contacts
from contact_pipeline.orchestration.partitions import upload_id_of, uploads
from contact_pipeline.orchestration.resources import Pipeline

_ERROR: Final = dg.AssetCheckSeverity.ERROR
_WARN: Final = dg.AssetCheckSeverity.WARN
_Check = Callable[[Connection, ImportRecord], Checked]


def _asset_check(check: _Check, severity: dg.AssetCheckSeverity) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=contacts,
        name=check.__name__,
        description=(check.__doc__ or "").strip().partition("\n")[0],
        partitions_def=uploads,
    )
    def run(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> dg.AssetCheckResult:
        upload_id = upload_id_of(context.partition_key)

        def look(connection: Connection) -> Checked:
            record = queries.find(connection, upload_id)
            if record is None or record.state is not ImportState.SUCCEEDED:
                state = record.state if record else "not known"
                return Checked(passed=True, words=f"the import is {state}: nothing is to be checked", numbers={})
            return check(connection, record)

        found = pipeline.database.patiently(look)
        return dg.AssetCheckResult(
            passed=found.passed, severity=severity, description=found.words, metadata=found.numbers
        )

    return run


with warnings.catch_warnings():
    # Partitioned checks: Dagster 1.13 has them as a preview.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    checks: Final = [
        _asset_check(checking.every_row_is_accounted_for, _ERROR),
        _asset_check(checking.contacts_are_in_the_table, _ERROR),
        _asset_check(checking.rejects_are_as_usual, _WARN),
        _asset_check(checking.titles_are_as_before, _WARN),
    ]

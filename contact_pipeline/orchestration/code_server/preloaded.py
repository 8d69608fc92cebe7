"""What the run of an import needs, loaded once, by the process that runs are forked from.

More than half of the CPU of a run of 1,000 rows went into importing this, and into the garbage collector, which then
looked through all that was imported.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from importlib import import_module
from typing import Final

from pandera.backends.polars.register import register_polars_backends
from pydantic import SecretStr

from contact_pipeline import object_store
from contact_pipeline.settings import Settings

LATE: Final = (
    # `dagster.yaml` names them.
    "contact_pipeline.orchestration.run_coordinator",
    "contact_pipeline.orchestration.storage",
    "dagster._core.storage.local_compute_log_manager",
    "dagster_aws.s3.compute_log_manager",
    # Dagster imports them when an instance is made and a run begins.
    "dagster._core.definitions.repository_definition.repository_data_builder",
    "dagster._core.execution.plan.active",
    "dagster._core.executor.in_process",
    "dagster._core.instance.factory",
    "dagster._core.secrets.env_file",
    "dagster._core.storage.root",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.system_config.composite_descent",
    "dagster._core.utility_ops",
    "dagster._core.workspace.autodiscovery",
    "dagster._utils.test.definitions",
    # So do others, at their first use.
    "pandera.backends.register_checks",
    "psycopg2.extras",
    "upath.implementations.local",
)
"""Modules that would be imported by each run by itself."""


def read_descriptions() -> None:
    """Have boto3 read what it knows of S3, some MB of JSON, for the clients of this process and of its forks."""
    # What is given here is not looked for in AWS's variables and files, where it may be wrong.
    given = Settings.model_construct(
        s3_endpoint_url="http://localhost", s3_access_key_id="none", s3_secret_access_key=SecretStr("none")
    )
    object_store.client(given)


# What cannot be done here each run does by itself, and says what is wrong with it: that is slower, and nothing else.
for name in LATE:
    with suppress(Exception):
        import_module(name)
with suppress(Exception):
    register_polars_backends(use_narwhals_backend=False)
with suppress(Exception):
    read_descriptions()

# What is here stays: no collection in a run looks at it, nor copies its pages by doing so.
gc.collect()
gc.freeze()

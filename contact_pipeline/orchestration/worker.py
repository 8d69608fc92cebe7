"""A worker of Celery for Dagster's runs: it has the code loaded, and each run is a process that it forks.

`dagster.yaml` names Dagster's `CeleryRunLauncher`, with broker, result backend and queue: the worker takes them from
there. A delivery is taken off the queue before its run begins, so a worker that is killed leaves a run that nobody
delivers again: the ledger's heartbeat tells, and the import is launched again. To deliver it again would be wrong for
a run that lives and takes longer than the broker's visibility timeout (celery#5935).
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
from contextlib import suppress
from typing import Any, Final

import dagster as dg
from celery import Celery, signals
from celery.worker import state as worker_state
from dagster._cli.api import _execute_run_command_body
from dagster._core.errors import DagsterHomeNotSetError
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import unpack_value
from dagster._utils.interrupts import capture_interrupts
from dagster_celery.config import TASK_EXECUTE_JOB_NAME
from dagster_celery.launcher import CeleryRunLauncher

from contact_pipeline.errors import ContactPipelineError

_logger = logging.getLogger(__name__)

_WAITING: Final = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING)


class NoCelery(ContactPipelineError):
    """Dagster does not start its runs by Celery."""

    code = "settings"


def work(concurrency: int) -> None:
    """Take runs from the queue and run them, until a signal ends this process.

    At SIGTERM no run is taken any more, and those under way are asked to end: they do so after the chunk that they
    load, and their imports are launched again elsewhere.

    Args:
        concurrency: how many runs at once, each of up to 550 MB.

    Raises:
        NoCelery: `dagster.yaml` in $DAGSTER_HOME names another run launcher.
    """
    try:
        instance = dg.DagsterInstance.get()
    except (DagsterHomeNotSetError, dg.DagsterInvariantViolationError):
        raise NoCelery("DAGSTER_HOME has to be set to the folder with Dagster's dagster.yaml") from None
    with instance:
        launcher = instance.run_launcher
        if not isinstance(launcher, CeleryRunLauncher):
            raise NoCelery(
                "dagster.yaml in $DAGSTER_HOME has no CeleryRunLauncher: take deploy/celery/dagster.yaml for one"
            )
    importlib.import_module("contact_pipeline.definitions")
    app = launcher.celery
    _register(app)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # A run that lies with a busy worker could be run by an idle one.
        worker_disable_prefetch=True,
        worker_hijack_root_logger=False,
        worker_max_tasks_per_child=1,
        worker_redirect_stdouts=False,
    )
    signals.worker_shutting_down.connect(_end_runs)
    app.Worker(pool="prefork", concurrency=concurrency, queues=[launcher.default_queue], loglevel="WARNING").start()


def _register(app: Celery) -> None:
    """Register the launcher's task."""

    # Dagster's own (dagster_celery.tasks) runs what is delivered twice too, which fails the run, though it lives; and
    # SIGTERM, by which Terminate reaches a run, ends its process at once, so that the run seems to go on.
    @app.task(name=TASK_EXECUTE_JOB_NAME, track_started=True)  # type: ignore[untyped-decorator]
    def execute_job(execute_job_args_packed: Any) -> int:
        arguments = unpack_value(execute_job_args_packed, as_type=ExecuteRunArgs)
        with capture_interrupts(), dg.DagsterInstance.get() as instance:
            run = instance.get_run_by_id(arguments.run_id)
            if run is None or run.status not in _WAITING:
                _logger.warning("run %s was delivered again, and is left alone", arguments.run_id)
                return 0
            return _execute_run_command_body(run.run_id, instance, lambda _: None, set_exit_code_on_failure=True)


def _end_runs(**_: Any) -> None:
    for request in worker_state.active_requests:
        with suppress(ProcessLookupError):
            os.kill(request.worker_pid, signal.SIGTERM)

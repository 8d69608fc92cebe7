"""What becomes of imports whose run is gone, and what is tried again."""

import dagster as dg
import pytest

from contact_pipeline.definitions import defs
from contact_pipeline.importing import steps
from contact_pipeline.orchestration import resources, schedules, sensors
from contact_pipeline.orchestration.partitions import partition_key
from contact_pipeline.warehouse import ledger, reports
from contact_pipeline_tests.running import eventually


@pytest.fixture
def pipeline(settings, monkeypatch):
    monkeypatch.setattr(resources, "get_settings", lambda: settings)
    return resources.Pipeline()


@pytest.fixture
def upload_id(importer, write_csv) -> str:
    return importer.register(write_csv("Email\na@x.example\n"))


def reconcile(instance, pipeline) -> None:
    with dg.build_sensor_context(instance=instance) as context:
        sensors.reconcile_imports(context, pipeline=pipeline)


def backfill(instance, pipeline):
    with dg.build_schedule_context(instance=instance) as context:
        return schedules.backfill_unfinished_imports(context, pipeline=pipeline)


def test_an_import_whose_run_is_gone_has_failed_and_is_tried_again(importer, pipeline, upload_id):
    importer.claim(upload_id, "a run that is nowhere")
    with dg.instance_for_test() as instance:
        assert isinstance(backfill(instance, pipeline), dg.SkipReason)
        reconcile(instance, pipeline)
        record = reports.find(importer.connection, upload_id)
        assert (record["state"], record["error_code"]) == ("failed", "transient")
        (request,) = backfill(instance, pipeline)
        key = partition_key(upload_id, record["uploaded_at"])
        assert (request.run_key, request.partition_key) == (f"{upload_id}:2", key)
        assert request.tags["dagster/priority"] == "-1"
        assert instance.has_dynamic_partition("uploads", key)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (dg.DagsterRunStatus.STARTED, "loading"),
        (dg.DagsterRunStatus.FAILURE, "failed"),
        (dg.DagsterRunStatus.CANCELED, "cancelled"),
    ],
)
def test_an_open_import_is_brought_into_line_with_its_run(importer, pipeline, upload_id, status, state):
    with dg.instance_for_test() as instance:
        run = dg.DagsterRun(job_name="import_contacts", status=status)
        instance.add_run(run)
        importer.claim(upload_id, run.run_id)
        reconcile(instance, pipeline)
        assert reports.find(importer.connection, upload_id)["state"] == state


def test_a_run_that_gives_no_sign_of_life_is_declared_failed(importer, pipeline, upload_id):
    with dg.instance_for_test() as instance:
        run = dg.DagsterRun(job_name="import_contacts", status=dg.DagsterRunStatus.STARTED)
        instance.add_run(run)
        importer.claim(upload_id, run.run_id)
        importer.connection.execute("UPDATE imports SET heartbeat_at = now() - interval '4 minutes'")
        reconcile(instance, pipeline)
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE
        reconcile(instance, pipeline)
        assert reports.find(importer.connection, upload_id)["state"] == "failed"


def test_a_slow_store_is_no_reason_to_be_thought_dead(importer, upload_id, monkeypatch):
    beats = []
    monkeypatch.setattr(steps, "_HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(ledger, "beat", lambda *_: beats.append(None))
    stream = importer.store.stream

    def slow(*arguments):
        eventually(lambda: len(beats) >= 3)
        yield from stream(*arguments)

    monkeypatch.setattr(importer.store, "stream", slow)
    assert importer.load(upload_id)["state"] == "succeeded"
    assert len(beats) >= 3


def test_an_import_with_a_live_run_is_not_started_a_second_time(importer, pipeline, upload_id):
    importer.claim(upload_id, "one")
    ledger.fail(importer.connection, upload_id, "one", "transient", "it failed")
    key = partition_key(upload_id, reports.find(importer.connection, upload_id)["uploaded_at"])
    with dg.instance_for_test() as instance:
        instance.add_run(
            dg.DagsterRun(
                job_name="import_contacts", status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": key}
            )
        )
        assert isinstance(backfill(instance, pipeline), dg.SkipReason)


def test_an_error_that_nobody_foresaw_tells_its_kind_and_place_and_no_value(importer, pipeline, upload_id, monkeypatch):
    canary = "canaryzq@secret.example"

    def fail(*_):
        raise ValueError(canary) from KeyError(canary)

    monkeypatch.setattr(steps, "verify_import", fail)
    key = partition_key(upload_id, reports.find(importer.connection, upload_id)["uploaded_at"])
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("uploads", [key])
        job = defs.resolve_job_def("import_contacts")
        result = job.execute_in_process(instance=instance, partition_key=key, raise_on_error=False)
        assert not result.success
        told = "".join(str(entry) for entry in instance.all_logs(result.run_id))
    assert canary not in told
    assert "unexpected ValueError at test_reconciling.py" in told

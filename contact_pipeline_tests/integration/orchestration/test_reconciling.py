"""What becomes of imports whose run is gone, and what is tried again."""

import time
from contextlib import closing
from typing import Any

import dagster as dg
import pytest

from contact_pipeline.database import cancelling, claims, launch_queue, launches, postgres, queries, states
from contact_pipeline.database.records import AskedBy
from contact_pipeline.database.undo import undoing
from contact_pipeline.definitions import defs
from contact_pipeline.importing import heartbeat, loading, publishing
from contact_pipeline.orchestration import resources, schedules, sensors
from contact_pipeline.orchestration.launching import run_request, slots
from contact_pipeline.orchestration.partitions import partition_key
from contact_pipeline.orchestration.reconciling import settle_ended
from contact_pipeline_tests.running import eventually


@pytest.fixture
def pipeline(settings, monkeypatch):
    monkeypatch.setattr(resources, "get_settings", lambda: settings)
    return resources.Pipeline()


@pytest.fixture
def upload_id(importer, write_csv) -> str:
    answer: str = importer.register(write_csv("Email\na@x.example\n"))
    return answer


def reconcile(instance, pipeline) -> None:
    with dg.build_sensor_context(instance=instance, resources={"pipeline": pipeline}) as context:
        sensors.reconcile_imports(context)


def due(instance, pipeline) -> list[dg.RunRequest]:
    with pipeline.connection() as connection:
        return [run_request(record) for record in launch_queue.take_due(connection, slots(instance))]


def run_of(instance, importer, upload_id, status, **tags) -> dg.DagsterRun:
    key = partition_key(upload_id, queries.find(importer.connection, upload_id).uploaded_at)
    run = dg.DagsterRun(job_name="import_contacts", status=status, tags={"dagster/partition": key, **tags})
    instance.add_run(run)
    return run


def test_an_import_whose_run_was_deleted_is_launched_again(importer, pipeline, upload_id):
    importer.claim(upload_id, "a run that is nowhere")
    with dg.instance_for_test() as instance:
        reconcile(instance, pipeline)
        assert queries.find(importer.connection, upload_id).state == "loading"
        importer.connection.execute("UPDATE launches SET asked_at = now() - interval '2 minutes'")
        reconcile(instance, pipeline)
        record = queries.find(importer.connection, upload_id)
        assert (record.state, record.waits_for) == ("queued", "the run that was to load it was deleted")
        importer.connection.execute("UPDATE launches SET due_at = now() WHERE ended_at IS NULL")
        (request,) = due(instance, pipeline)
        # The second launch was the run's own: nobody had asked for it.
        assert request.run_key == f"{upload_id}:3"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (dg.DagsterRunStatus.STARTED, "loading"),
        (dg.DagsterRunStatus.FAILURE, "queued"),
        (dg.DagsterRunStatus.CANCELED, "cancelled"),
    ],
)
def test_an_open_import_is_brought_into_line_with_its_run(importer, pipeline, upload_id, status, state):
    with dg.instance_for_test() as instance:
        run = run_of(instance, importer, upload_id, status)
        importer.claim(upload_id, run.run_id)
        reconcile(instance, pipeline)
        assert queries.find(importer.connection, upload_id).state == state


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED])
def test_a_run_that_ended_before_it_claimed_its_import_leaves_nothing_queued_for_ever(
    importer, pipeline, upload_id, status
):
    with dg.instance_for_test() as instance:
        (request,) = due(instance, pipeline)
        run = run_of(instance, importer, upload_id, status, **{"dagster/run_key": request.run_key})
        reconcile(instance, pipeline)
        record = queries.find(importer.connection, upload_id)
        first, *rest = launches.of_import(importer.connection, upload_id)
        assert first.run_id == run.run_id
        if status is dg.DagsterRunStatus.CANCELED:
            assert (record.state, rest) == ("cancelled", [])
        else:
            assert (record.state, first.outcome) == ("queued", "failed")
            assert [(one.asked_by, one.ended_at) for one in rest] == [("retry", None)]


def test_a_run_that_gets_no_further_is_declared_failed_and_its_sessions_are_ended(
    importer, settings, pipeline, upload_id
):
    with dg.instance_for_test() as instance:
        run = run_of(instance, importer, upload_id, dg.DagsterRunStatus.STARTED)
        importer.claim(upload_id, run.run_id)
        frozen = postgres.connect(settings.database_url)
        frozen.execute("BEGIN")
        claims.mark_session(frozen, upload_id)
        importer.connection.execute("UPDATE imports SET heartbeat_at = now() - interval '4 minutes'")
        if queries.liveness(importer.connection, upload_id).lost:
            reconcile(instance, pipeline)
            assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE
            assert queries.find(importer.connection, upload_id).state == "queued"
            with pytest.raises(postgres.DatabaseFailed), postgres.scrubbed():
                frozen.execute("SELECT 1")
        else:
            # A server that came up a moment ago says nothing of who could not reach it.
            reconcile(instance, pipeline)
            assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.STARTED
        frozen.close()


def test_what_a_frozen_run_has_locked_is_freed_before_it_is_declared_lost(
    importer, settings, pipeline, upload_id, monkeypatch
):
    with dg.instance_for_test() as instance, closing(postgres.connect(settings.database_url)) as frozen:
        run = run_of(instance, importer, upload_id, dg.DagsterRunStatus.STARTED)
        importer.claim(upload_id, run.run_id)
        frozen.execute("BEGIN")
        claims.mark_session(frozen, upload_id)
        # The server of the tests is younger than a sign of life that is stale.
        monkeypatch.setattr(queries, "STALE_AFTER_SECONDS", 0)
        assert not queries.liveness(importer.connection, upload_id).lost
        reconcile(instance, pipeline)
        with pytest.raises(postgres.DatabaseFailed), postgres.scrubbed():
            frozen.execute("SELECT 1")
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.STARTED


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_a_run_that_no_import_wants_any_more_gives_its_place_back(importer, pipeline, upload_id, status):
    with dg.instance_for_test() as instance:
        run = run_of(instance, importer, upload_id, status)
        launches.note_run(importer.connection, upload_id, run.run_id, 1, AskedBy.SENSOR, None)
        cancelling.cancel(importer.connection, upload_id, "tester")
        importer.connection.execute("UPDATE launches SET ended_at = now() - interval '2 minutes'")
        reconcile(instance, pipeline)
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.CANCELED
        assert queries.find(importer.connection, upload_id).state == "cancelled"


def test_an_import_without_a_launch_gets_one(importer, pipeline, upload_id):
    importer.connection.execute("UPDATE launches SET ended_at = now(), outcome = 'lost'")
    with dg.instance_for_test() as instance:
        reconcile(instance, pipeline)
        (request,) = due(instance, pipeline)
        assert request.run_key == f"{upload_id}:2"


def test_the_schedule_launches_what_nothing_else_would(importer, pipeline, upload_id):
    importer.connection.execute("UPDATE launches SET ended_at = now(), outcome = 'lost'")
    given = {"pipeline": pipeline}
    with (
        dg.instance_for_test() as instance,
        dg.build_schedule_context(instance=instance, resources=given) as context,
    ):
        requests: Any = schedules.backfill_unfinished_imports(context)
        (request,) = requests
        assert (request.run_key, request.tags["dagster/priority"]) == (f"{upload_id}:2", "-1")
        assert instance.has_dynamic_partition("uploads", request.partition_key)


def test_one_import_that_cannot_be_settled_is_in_nobodys_way(importer, pipeline, upload_id, write_csv, monkeypatch):
    other = importer.register(write_csv("Email\nb@x.example\n"))
    importer.connection.execute("UPDATE launches SET ended_at = now(), outcome = 'lost'")
    ensure = states.ensure_launch

    def fail_for_one(connection, which, asked_by):
        if which == upload_id:
            raise RuntimeError
        return ensure(connection, which, asked_by)

    monkeypatch.setattr(states, "ensure_launch", fail_for_one)
    with dg.instance_for_test() as instance:
        reconcile(instance, pipeline)
        assert [request.run_key for request in due(instance, pipeline)] == [f"{other}:2"]


def test_an_undo_that_nobody_goes_on_with_is_finished(importer, pipeline, write_csv):
    done = importer.run(write_csv("Email\na@x.example\n"))
    undoing.start(importer.connection, done["upload_id"], "tester")
    importer.connection.execute("UPDATE imports SET heartbeat_at = now() - interval '1 minute'")
    with dg.instance_for_test() as instance:
        reconcile(instance, pipeline)
    assert queries.find(importer.connection, done["upload_id"]).state == "undone"
    assert importer.contacts() == []


def test_a_slow_store_is_no_reason_to_be_thought_dead(importer, settings, upload_id, monkeypatch):
    beats: list[None] = []
    monkeypatch.setattr(heartbeat, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(claims, "record_heartbeat", lambda *_: beats.append(None))
    claim = importer.claim(upload_id)
    pulse = heartbeat.Heartbeat()
    with heartbeat.beating(settings.database_url, claim, pulse):
        for expected in range(1, 4):
            pulse.mark()
            eventually(lambda expected=expected: len(beats) >= expected)  # type: ignore[misc]
        # Nothing gets done: no sign.
        time.sleep(0.3)
        assert len(beats) == 3


def test_an_error_that_nobody_foresaw_tells_its_kind_and_place_and_no_value(importer, pipeline, upload_id, monkeypatch):
    canary = "canaryzq@secret.example"

    def fail(*_):
        raise ValueError(canary) from KeyError(canary)

    monkeypatch.setattr(publishing, "verify_import", fail)
    key = partition_key(upload_id, queries.find(importer.connection, upload_id).uploaded_at)
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("uploads", [key])
        job = defs.resolve_job_def("import_contacts")
        result = job.execute_in_process(instance=instance, partition_key=key, raise_on_error=False)
        assert not result.success
        told = "".join(str(entry) for entry in instance.all_logs(result.run_id))
    assert canary not in told
    assert "unexpected ValueError at test_reconciling.py" in told


def test_a_run_that_waited_long_in_the_queue_is_not_taken_for_hung_when_it_starts(importer, pipeline, upload_id):
    with dg.instance_for_test() as instance:
        run = run_of(instance, importer, upload_id, dg.DagsterRunStatus.NOT_STARTED)
        launches.note_run(importer.connection, upload_id, run.run_id, None, AskedBy.PERSON, None)
        importer.connection.execute("UPDATE launches SET asked_at = now() - interval '11 minutes'")
        instance.handle_new_event(
            dg.EventLogEntry(
                error_info=None,
                level=20,
                user_message="",
                run_id=run.run_id,
                timestamp=time.time(),
                job_name=run.job_name,
                dagster_event=dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name),
            )
        )
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.STARTED
        reconcile(instance, pipeline)
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.STARTED


def test_an_import_that_succeeded_as_its_run_died_is_materialised(importer, pipeline, write_csv):
    done = importer.run(write_csv("Email\na@x.example\n"))
    with dg.instance_for_test() as instance:
        run = run_of(instance, importer, done["upload_id"], dg.DagsterRunStatus.FAILURE)
        importer.connection.execute("UPDATE imports SET run_id = %s", (run.run_id,))
        key = run.tags["dagster/partition"]
        with pipeline.connection() as connection:
            assert settle_ended(instance, connection, run, done["upload_id"])
            assert not settle_ended(instance, connection, run, done["upload_id"])
        assert instance.get_materialized_partitions(dg.AssetKey("contacts")) == {key}


def test_a_partition_that_somebody_deleted_is_no_reason_to_fail(importer, pipeline, upload_id):
    key = partition_key(upload_id, queries.find(importer.connection, upload_id).uploaded_at)
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("uploads", [key])
        job = defs.resolve_job_def("import_contacts")
        loading_of = loading.load_chunks

        def delete_first(*arguments, **more):
            instance.delete_dynamic_partition("uploads", key)
            return loading_of(*arguments, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loading, "load_chunks", delete_first)
            result = job.execute_in_process(instance=instance, partition_key=key, raise_on_error=False)
        assert result.success
        assert instance.get_materialized_partitions(dg.AssetKey("contacts")) == {key}

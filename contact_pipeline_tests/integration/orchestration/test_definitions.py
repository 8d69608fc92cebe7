import inspect
import json
import os
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

import dagster as dg
import pytest
from dagster import DefaultScheduleStatus, DefaultSensorStatus
from dagster._daemon import sensor

from contact_pipeline.definitions import defs
from contact_pipeline.orchestration import daemon
from contact_pipeline.orchestration.resources import Pipeline
from contact_pipeline.settings import Settings, SettingsMissing, get_settings

ROOT = Path(__file__).parents[3]
CONTACTS = dg.AssetKey("contacts")
_SHOW_INSTANCE = """
from dagster import DagsterInstance
instance = DagsterInstance.get()
print(type(instance.run_storage).__name__, type(instance.run_coordinator).__name__)
print(instance.run_retries_max_retries, instance.run_monitoring_max_resume_run_attempts)
"""


def test_what_dagster_finds():
    repository = defs.get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "uploaded_objects", "failed_runs", "cancelled_runs", "reconcile_imports", "send_webhooks",
    }  # fmt: skip
    assert all(sensor.default_status is DefaultSensorStatus.RUNNING for sensor in repository.sensor_defs)
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "backfill_unfinished_imports", "expire_uploads", "apply_retention_daily",
    }  # fmt: skip
    assert all(schedule.default_status is DefaultScheduleStatus.RUNNING for schedule in repository.schedule_defs)


def test_the_job_is_partitioned_by_upload_and_runs_in_one_process():
    job = defs.resolve_job_def("import_contacts")
    assert isinstance(job.partitions_def, dg.DynamicPartitionsDefinition)
    assert job.executor_def.name == "in_process"
    assert job.tags["dagster/retry_strategy"] == "ALL_STEPS"
    graph = job.graph.node_dict["contacts"].definition
    assert isinstance(graph, dg.GraphDefinition)
    assert [node.name for node in graph.nodes_in_topological_order] == [
        "open_upload", "load_chunks", "verify_import", "publish_import",
    ]  # fmt: skip


def test_no_op_retries_itself():
    # With the in-process executor a terminated run would go on (dagster#15026).
    job = defs.resolve_job_def("import_contacts")
    graph = job.graph.node_dict["contacts"].definition
    assert isinstance(graph, dg.GraphDefinition)
    assert graph.nodes
    for node in graph.nodes:
        assert isinstance(node.definition, dg.OpDefinition)
        assert node.definition.retry_policy is None


@pytest.mark.parametrize(
    "profile", [ROOT / "deploy" / "dagster.yaml", files("contact_pipeline.stack") / "dagster.yaml"]
)
def test_both_profiles_load(profile, stack, tmp_path):
    (tmp_path / "dagster.yaml").write_text(Path(str(profile)).read_text())
    url = stack.dagster_database_url
    user_and_password, host_and_database = url.split("://")[1].rsplit("@", 1)
    user, password = user_and_password.split(":")
    host_and_port, name = host_and_database.split("/")
    port = host_and_port.split(":")[1]
    if "port: 5432" in (text := (tmp_path / "dagster.yaml").read_text()):
        (tmp_path / "dagster.yaml").write_text(text.replace("port: 5432", f"port: {port}"))
    shown = subprocess.run(
        [sys.executable, "-c", _SHOW_INSTANCE],
        env={
            **os.environ,
            "DAGSTER_HOME": str(tmp_path),
            "CONTACT_PIPELINE_DAGSTER_DATABASE_URL": url,
            "CONTACT_PIPELINE_LOGS_BUCKET": "logs",
            "DAGSTER_PG_USER": user,
            "DAGSTER_PG_PASSWORD": password,
            "DAGSTER_PG_HOST": "127.0.0.1",
            "DAGSTER_PG_DB": name,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert shown.returncode == 0, shown.stderr[-2000:]
    assert shown.stdout.split() == ["PostgresRunStorage", "ImportRunCoordinator", "2", "0"]


@pytest.mark.parametrize(
    "command",
    [
        ["dg", "check", "defs"],
        ["dagster", "definitions", "validate"],
        ["dagster", "definitions", "validate", "-w", "workspace.yaml"],
    ],
    ids=" ".join,
)
def test_a_clone_is_a_dagster_project_without_a_variable_set(command):
    (program, *rest), place = command, tempfile.gettempdir()
    checked = subprocess.run(
        [Path(sys.executable).with_name(program), *rest],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", place), "TMPDIR": place},
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout[-2000:] + checked.stderr[-2000:]


def test_what_is_missing_is_said_in_a_sentence(monkeypatch):
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(f"CONTACT_PIPELINE_{name}", raising=False)
    monkeypatch.setenv("CONTACT_PIPELINE_S3_BUCKET", "b")
    monkeypatch.setenv("CONTACT_PIPELINE_MAX_PARTS", "many")
    get_settings.cache_clear()
    with pytest.raises(SettingsMissing) as missing:
        _ = Pipeline().settings
    get_settings.cache_clear()
    assert str(missing.value).startswith(
        "CONTACT_PIPELINE_DATABASE_URL, CONTACT_PIPELINE_REDIS_URL must be set, and CONTACT_PIPELINE_MAX_PARTS is not "
        "what it can be"
    )


def test_the_catalogue_says_what_the_table_is():
    asset = defs.get_repository_def().assets_defs_by_key[CONTACTS]
    metadata = asset.metadata_by_key[CONTACTS]
    assert metadata["dagster/table_name"] == "contact_pipeline.public.contacts"
    columns = {column.name: column for column in metadata["dagster/column_schema"].columns}
    assert (columns["email"].type, columns["email"].description) == ("text", "Email (email)")
    assert columns["employees"].type == "integer"
    assert not columns["source"].constraints.nullable
    assert all(column.description for column in columns.values())
    assert "dagster/code_references" in metadata
    assert asset.owners_by_key[CONTACTS] == ["team:data"]


def test_the_resource_shows_where_the_servers_are_and_no_password():
    settings = Settings(
        database_url="postgresql://me:secret@db.example:5432/contacts", redis_url="redis://:secret@cache:6379/0",
        s3_bucket="uploads",
    )  # fmt: skip
    shown = Pipeline.described(settings)
    assert (shown.postgres, shown.redis, shown.bucket) == ("db.example:5432/contacts", "cache:6379/0", "s3://uploads")


_FORK_SERVER = """
import gc, importlib, json, pathlib, sys
from contact_pipeline.orchestration.code_server import LOADED
for name in LOADED:
    importlib.import_module(name)
from contact_pipeline.orchestration.code_server.preloaded import LATE, read_descriptions
threads = {task.joinpath("comm").read_text().strip() for task in pathlib.Path("/proc/self/task").iterdir()}
is_frozen = gc.get_freeze_count() > 100 * len(gc.get_objects())
before = set(sys.modules)

import polars
from botocore import loaders
from contact_pipeline.contacts import cleaning, schema
from contact_pipeline.contacts.texts import CharacterFlags
schema.failing_rows(cleaning.clean(polars.DataFrame({"email": ["a@b.example"]}), CharacterFlags()).frame)
read = []
loaders.JSONFileLoader.load_file = lambda self, path: read.append(path)
read_descriptions()
json.dump([sorted(threads), is_frozen, sorted(set(LATE) - before), sorted(set(sys.modules) - before), read], sys.stdout)
"""


@pytest.mark.parametrize("wrong", [{}, {"AWS_ENDPOINT_URL": "minio:9000", "AWS_MAX_ATTEMPTS": "many"}])
def test_what_runs_are_forked_from_has_all_loaded_and_no_thread_that_computes(wrong):
    shown = subprocess.run(
        [sys.executable, "-c", _FORK_SERVER],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **wrong}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr[-2000:]
    threads, is_frozen, missing, late, read = json.loads(shown.stdout)
    names = {Path(sys.executable).resolve().name[:15], Path(sys.executable).name, "jemalloc_bg_thd", "polars-ooc-clea"}
    assert set(threads) <= names
    assert is_frozen
    assert missing == read == []
    assert [name for name in late if name.startswith(("pandera", "boto", "dagster"))] == []


def test_the_daemon_is_dagsters_and_looks_at_sensors_every_second(monkeypatch, capsys):
    monkeypatch.setattr(sensor, "MIN_INTERVAL_LOOP_TIME", sensor.MIN_INTERVAL_LOOP_TIME)
    monkeypatch.setattr(sys, "argv", ["dagster-daemon", "--help"])
    with pytest.raises(SystemExit):
        daemon.main()
    assert "liveness-check" in capsys.readouterr().out
    # Dagster's own loop reads it by this name.
    assert sensor.MIN_INTERVAL_LOOP_TIME == 1
    assert "MIN_INTERVAL_LOOP_TIME - loop_duration" in inspect.getsource(sensor.execute_sensor_iteration_loop)

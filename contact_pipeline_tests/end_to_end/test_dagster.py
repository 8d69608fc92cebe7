"""Imports through the upload service, S3, the sensor, and Dagster's own processes."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import httpx
import redis

from contact_pipeline.database import postgres, queries
from contact_pipeline.orchestration.partitions import partition_key
from contact_pipeline.samples import files as sample_files
from contact_pipeline_tests.running import (
    Importer,
    accounted,
    content,
    count_rows,
    eventually,
    independent_counts,
    metadata_of,
    run_processes,
)

ROWS = 50_000


def test_a_file_goes_from_the_command_line_to_postgres(cli, dagster, warehouse, tmp_path):
    path = tmp_path / "people.csv"
    sample_files.write(path, ROWS, "A9", seed=77, dirty=0.01)
    summary = cli.json("import", str(path), "--wait")
    loads, rejected = independent_counts(path)
    assert summary["state"] == "succeeded"
    assert summary["rows"] == accounted(summary) == count_rows(path) == ROWS
    assert (summary["inserted"], summary["rejected"], summary["not_attempted"]) == (loads, rejected, 0)
    upload_id = summary["upload_id"]

    (run,) = eventually(lambda: [run for run in dagster.runs(upload_id) if run["status"] == "SUCCESS"])
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    assert tags["contact_pipeline/progress"] == f"100 % · {ROWS:,} rows"
    metadata = metadata_of(dagster, upload_id)
    record = queries.find(warehouse, upload_id)
    assert metadata["partition"] == tags["dagster/partition"] == partition_key(upload_id, record.uploaded_at)
    assert (metadata["rows"], metadata["inserted"], metadata["rejected"]) == (ROWS, loads, rejected)
    assert "missing_identity" in metadata["rejects_by_code"]
    assert metadata["peak_memory_mb"] < 560
    assert metadata["import"].endswith(f"/#import/{upload_id}")
    assert metadata["rejects"].endswith(f"/api/imports/{upload_id}/rejects")
    assert "file" not in metadata
    checks = _checks(dagster, run["runId"])
    assert {name: passed for name, (passed, _) in checks.items()} == {
        "every_row_is_accounted_for": True, "contacts_are_in_the_table": True, "rejects_are_as_usual": True,
        "titles_are_as_before": True,
    }  # fmt: skip
    assert checks["contacts_are_in_the_table"][1] == {"inserted": loads, "in_the_table": loads}

    shown = cli.json("show", upload_id)
    assert shown["source"] == "apollo"
    listed = cli.json("rejects", upload_id)["rejects"]
    assert len(listed) == rejected
    assert {"row", "line", "codes", "columns", "messages"} == set(listed[0])
    assert upload_id in {found["upload_id"] for found in cli.json("imports")["imports"]}


def test_a_file_that_cannot_be_imported_fails_once_and_says_why(cli, dagster, tmp_path):
    path = tmp_path / "companies.csv"
    path.write_text("Company Name,Website\nAcme,acme.example\n")
    done = cli.run("import", str(path), "--wait", "--json")
    assert done.returncode == 1
    summary = json.loads(done.stdout)
    assert summary["state"] == "failed"
    assert "an export of companies cannot be imported" in summary["error"]
    (run,) = eventually(lambda: [r for r in dagster.runs(summary["upload_id"]) if r["status"] == "FAILURE"])
    assert {tag["key"]: tag["value"] for tag in run["tags"]}["dagster/max_retries"] == "0"
    (failure,) = _events(dagster, run["runId"], "ExecutionStepFailureEvent", "error { message stack }")
    assert failure["error"]["message"].startswith("no column says who a contact is")
    assert failure["error"]["stack"] == []


def _events(dagster, run_id, kind, fields):
    data = dagster.ask(
        f"""query ($id: ID!) {{ runOrError(runId: $id) {{ ... on Run {{ eventConnection {{ events {{
               __typename ... on {kind} {{ {fields} }} }} }} }} }} }}""",
        id=run_id,
    )
    return [event for event in data["runOrError"]["eventConnection"]["events"] if event["__typename"] == kind]


def _checks(dagster, run_id):
    """The checks of a run: whether each passed, and its numbers."""
    fields = "evaluation { checkName success metadataEntries { label ... on IntMetadataEntry { intValue } } }"
    found = [event["evaluation"] for event in _events(dagster, run_id, "AssetCheckEvaluationEvent", fields)]
    return {
        one["checkName"]: (
            one["success"], {entry["label"]: entry.get("intValue") for entry in one["metadataEntries"]},
        )
        for one in found
    }  # fmt: skip


def test_objects_copied_into_the_bucket_are_imported_once(bucket, warehouse, dagster):
    def put(name: str) -> str:
        key = f"uploads/{name}.csv"
        bucket.s3.put_object(Bucket=bucket.bucket, Key=key, Body=f"Email\n{name}@copied.example\n".encode())
        return key

    long_key = "uploads/began-first.csv"
    begun = bucket.s3.create_multipart_upload(Bucket=bucket.bucket, Key=long_key)["UploadId"]
    plain = put("plain")
    record = eventually(lambda: _succeeded(warehouse, plain))
    part = bucket.s3.upload_part(
        Bucket=bucket.bucket, Key=long_key, UploadId=begun, PartNumber=1, Body=b"Email\nlong@copied.example\n"
    )
    bucket.s3.complete_multipart_upload(
        Bucket=bucket.bucket, Key=long_key, UploadId=begun,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )  # fmt: skip
    late = eventually(lambda: _succeeded(warehouse, long_key))
    for found in (record, late):
        assert (found.inserted, found.attempt, found.owner) == (1, 1, "bucket")
        assert len(dagster.runs(found.upload_id)) == 1


def _succeeded(connection, key):
    record = queries.find_by_key(connection, key)
    return record if record and record.state == "succeeded" else None


def _mid_import(cli, warehouse, path: Path) -> str:
    """Upload a file and return its id when some of its chunks, and not all, are committed."""
    upload_id = cli.json("import", str(path))["upload_id"]
    eventually(lambda: queries.totals(warehouse, upload_id).chunks >= 2, step=0.01)
    assert queries.find(warehouse, upload_id).state == "loading"
    answer: str = upload_id
    return answer


def _chunks(connection, upload_id: str) -> int:
    return queries.totals(connection, upload_id).chunks


def _assert_as_undisturbed(importer: Importer, warehouse, upload_id: str, path: Path) -> None:
    undisturbed = importer.run(path)
    record = queries.find(warehouse, upload_id)
    assert record.total_rows == undisturbed["rows"] == count_rows(path)
    assert (record.inserted, record.rejected) == (undisturbed["inserted"], undisturbed["rejected"])
    assert content(warehouse, "created_by_import = %s", upload_id) == content(importer.connection)


def test_terminate_in_the_ui_freezes_the_import_and_a_launch_resumes_it(cli, dagster, warehouse, importer, long_file):
    upload_id = _mid_import(cli, warehouse, long_file)
    (run,) = dagster.runs(upload_id)
    assert dagster.terminate(run["runId"]) == "TerminateRunSuccess"
    frozen = _chunks(warehouse, upload_id)
    assert queries.find(warehouse, upload_id).state == "cancelled"
    eventually(lambda: dagster.status(run["runId"]) == "CANCELED")
    assert _chunks(warehouse, upload_id) == frozen < 12

    record = queries.find(warehouse, upload_id)
    launched = dagster.launch(partition_key(upload_id, record.uploaded_at))
    eventually(lambda: dagster.status(launched) == "SUCCESS", 120)
    attempts = [
        row["attempt"]
        for row in warehouse.execute(
            "SELECT attempt FROM import_chunks WHERE upload_id = %s ORDER BY chunk", (upload_id,)
        )
    ]
    assert attempts == [1] * frozen + [2] * (12 - frozen)
    _assert_as_undisturbed(importer, warehouse, upload_id, long_file)


def test_cancelling_by_the_api_ends_the_run_and_a_reexecution_resumes_it(cli, dagster, warehouse, importer, long_file):
    upload_id = _mid_import(cli, warehouse, long_file)
    assert cli.run("cancel", upload_id).returncode == 0
    frozen = _chunks(warehouse, upload_id)
    (run,) = dagster.runs(upload_id)
    eventually(lambda: dagster.status(run["runId"]) == "CANCELED")
    assert _chunks(warehouse, upload_id) == frozen < 12
    assert queries.find(warehouse, upload_id).state == "cancelled"
    assert cli.run("cancel", upload_id).returncode == 0

    again = dagster.reexecute(run["runId"])
    eventually(lambda: dagster.status(again) == "SUCCESS", 120)
    assert cli.run("cancel", upload_id).returncode == 1
    _assert_as_undisturbed(importer, warehouse, upload_id, long_file)


def test_a_killed_run_is_retried_by_itself_and_redis_may_be_flushed(
    cli, dagster, warehouse, importer, long_file, home, stack
):
    upload_id = _mid_import(cli, warehouse, long_file)
    client = redis.Redis.from_url(stack.redis_url)
    client.flushall()
    client.close()
    worker = _run_worker(home)
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: (r := queries.find(warehouse, upload_id)) and r.state == "succeeded", 200)
    record = queries.find(warehouse, upload_id)
    assert record.attempt == 2
    assert len(dagster.runs(upload_id)) == 2
    _assert_as_undisturbed(importer, warehouse, upload_id, long_file)


def _run_worker(home) -> int:
    """Process id of the run that loads."""
    (found,) = run_processes(home)
    return found.pid


def test_several_partitions_are_backfilled_and_what_has_succeeded_is_left_alone(cli, dagster, warehouse, tmp_path):
    keys, uploads = [], []
    for number in range(2):
        path = tmp_path / f"{number}.csv"
        path.write_text(f"Email\nbackfill{number}@x.example\n")
        summary = cli.json("import", str(path), "--wait")
        record = queries.find(warehouse, summary["upload_id"])
        keys.append(partition_key(summary["upload_id"], record.uploaded_at))
        uploads.append(summary["upload_id"])
    backfill = dagster.backfill(keys)

    def done():
        data = dagster.ask(
            """query ($id: String!) {
                   partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }""",
            id=backfill,
        )
        return data["partitionBackfillOrError"]["status"] == "COMPLETED_SUCCESS"

    eventually(done, 120)
    for upload_id in uploads:
        record = queries.find(warehouse, upload_id)
        assert (record.state, record.attempt, record.inserted) == ("succeeded", 1, 1)


def test_values_are_nowhere_but_in_the_tables(cli, dagster, warehouse, home, stack, tmp_path):
    """I11: canaries in every kind of field, sound and wrong, in rejects and in the file's name."""
    canary = "canaryzq"
    path = tmp_path / "people.csv"
    rows = [
        f"{canary}id1,{canary}First,{canary}@sound.example,+1 415 {canary},{canary} revenue,{canary}.example,{canary}",
        f",{canary}Second,{canary} not an address,,,,",
        f"{canary}id3,{canary}",
        f"{canary}id4,{canary}\x00Nul,{canary}4@sound.example,,,,",
        f"{canary}id1,{canary}Again,{canary}again@sound.example,,12,,",
    ]
    header = "Apollo Contact Id,First Name,Email,Mobile Phone,Annual Revenue,Website,Unknown Column"
    path.write_text(header + "\n" + "\n".join(rows) + "\n")
    warehouse.execute("ALTER TABLE contacts ADD CONSTRAINT no_poison CHECK (first_name <> 'canaryzqPoison')")
    poison = tmp_path / "poison.csv"
    poison.write_text("Email,First Name\ncanaryzq9@x.example,canaryzqPoison\n")
    changed = tmp_path / "changed.csv"
    changed.write_text("Apollo Contact Id,First Name\ncanaryzqid1,canaryzqThird\n")
    uploads = [cli.json("import", str(file), "--wait") for file in (path, poison, changed)]
    warehouse.execute("ALTER TABLE contacts DROP CONSTRAINT no_poison")
    assert [(summary["state"], summary["rejected"]) for summary in uploads] == [
        ("succeeded", 3), ("succeeded", 1), ("succeeded", 0),
    ]  # fmt: skip

    headers = {"Authorization": f"Bearer {stack.api_token.get_secret_value()}"}
    place = f"{stack.api_url}/api/imports/{uploads[0]['upload_id']}"
    # Who looks at the rows sees them; nobody keeps what was shown.
    for shown in (
        httpx.post(f"{place}/first-look", json={}, headers=headers, trust_env=False),
        httpx.get(f"{place}/rejected-rows", headers=headers, trust_env=False),
    ):
        assert canary in shown.text
        assert shown.headers["cache-control"] == "no-store"
    with postgres.connect(stack.database_url) as connection:
        allowed = {"contacts", "contact_versions", "rejected_rows"}
        found = _tables_with(connection, canary)
    # Rows that changed contacts are kept there too, compressed.
    assert found - {"contributions"} == allowed
    with postgres.connect(stack.dagster_database_url.replace("+psycopg2", "")) as connection:
        assert _tables_with(connection, canary) == set()
    client = redis.Redis.from_url(stack.redis_url)
    for key in client.scan_iter():
        kind = client.type(key)
        value = client.get(key) if kind == b"string" else client.hgetall(key) if kind == b"hash" else b""
        assert canary not in f"{key!r} {value!r}"
    client.close()
    for file in [*home.logs.rglob("*"), *home.dagster.rglob("*"), *(home.path / "tmp").rglob("*")]:
        if file.is_file():
            assert canary.encode() not in file.read_bytes(), file
    for summary in uploads:
        for command in ("show", "rejects"):
            assert canary not in cli.run(command, summary["upload_id"]).stdout


def _tables_with(connection, text: str) -> set[str]:
    tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    found = set()
    for row in tables:
        name = row["tablename"]
        hit = connection.execute(
            f"""SELECT EXISTS (SELECT FROM "{name}" t
                WHERE t::text LIKE '%{text}%' OR t::text LIKE '%{text.encode().hex()}%') AS hit""".encode()
        ).fetchone()
        if hit["hit"]:
            found.add(name)
    return found

"""Faults with Dagster around them: whatever dies, imports end, and nothing is left. Some minutes: `make faults`."""

from __future__ import annotations

import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from contact_pipeline.database import launches, queries
from contact_pipeline.orchestration.partitions import partition_key
from contact_pipeline.samples import files as sample_files
from contact_pipeline.stack import control, processes, supervisor
from contact_pipeline.stack.home import Home
from contact_pipeline_tests.faults import invariants
from contact_pipeline_tests.running import eventually

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def people(path: Path, name: str, rows: int = 300) -> Path:
    path.write_text("Email,First Name\n" + "".join(f"{name}{n}@x.example,{name}\n" for n in range(rows)))
    return path


@pytest.fixture
def long_file(tmp_path, request) -> Path:
    path = tmp_path / "long.csv"
    sample_files.write(path, 150_000, "A9", seed=sum(map(ord, request.node.name)), dirty=0.01)
    answer: Path = path
    return answer


def mid_import(field, path) -> str:
    upload_id = field.upload(path)
    eventually(lambda: field.chunks(upload_id) >= 2, 120, step=0.02)
    answer: str = upload_id
    return answer


def test_a1_a2_the_code_server_is_killed_while_thirty_uploads_wait(field, tmp_path):
    files = [people(tmp_path / f"{n}.csv", f"waits{n}", 20) for n in range(30)]
    made = {field.upload(path): path for path in files}
    eventually(lambda: launches.open_with_run(field.connection), 60)
    processes.stop(field.home, "supervisor")
    field.kill("dagster-code")
    late = people(tmp_path / "late.csv", "late", 20)
    made[field.upload(late)] = late
    time.sleep(60)
    control.up(field.home, lambda _: None)
    supervisor.leave_supervisor(field.home, lambda _: None)
    for upload_id in made:
        field.wait(upload_id, seconds=700)
    field.quiet()
    invariants.check(field.settings, field.store, made, None)


def test_b7_a_cancelled_import_whose_run_was_killed_stays_cancelled(field, long_file):
    upload_id = mid_import(field, long_file)
    assert field.kill_workers() >= 1
    assert field.call("POST", f"/api/imports/{upload_id}/cancel").json()["state"] == "cancelled"
    frozen = field.chunks(upload_id)
    ends = time.monotonic() + 300
    while time.monotonic() < ends:
        assert field.chunks(upload_id) == frozen
        assert field.state(upload_id) == "cancelled"
        time.sleep(2)
    field.quiet()
    # A person's launch resumes it.
    record = queries.find(field.connection, upload_id)
    field.dagster.launch(partition_key(upload_id, record.uploaded_at))
    field.wait(upload_id)
    invariants.check(field.settings, field.store, {upload_id: long_file}, None)


def test_f1_f33_a_killed_run_is_launched_again_and_goes_on(field, long_file):
    upload_id = mid_import(field, long_file)
    assert field.kill_workers() >= 1
    record = field.wait(upload_id)
    assert record.attempt >= 2
    field.quiet()
    invariants.check(field.settings, field.store, {upload_id: long_file}, None)


def test_f3_postgres_is_killed_and_comes_back_half_a_minute_later(field, long_file):
    upload_id = mid_import(field, long_file)
    processes.stop(field.home, "supervisor")
    field.kill("postgres", signal.SIGQUIT)
    time.sleep(30)
    control.up(field.home, lambda _: None)
    supervisor.leave_supervisor(field.home, lambda _: None)
    record = field.wait(upload_id)
    assert record.attempt == 1, "a restart of Postgres cost a run"
    invariants.check(field.settings, field.store, {upload_id: long_file}, None)


def test_f2_e16_a_frozen_run_is_replaced_and_holds_nobody_up(field, long_file, tmp_path):
    upload_id = mid_import(field, long_file)
    (worker,) = field.workers()
    worker.suspend()
    try:
        small = people(tmp_path / "small.csv", "beside")
        other = field.upload(small)
        field.wait(other, seconds=120)
        record = field.wait(upload_id, seconds=500)
        assert record.attempt >= 2
    finally:
        worker.resume() if worker.is_running() else None
    field.quiet(400)
    invariants.check(field.settings, field.store, {upload_id: long_file, other: small}, None)


def test_f13_the_daemon_is_killed_again_and_again_while_uploads_come(field, tmp_path):
    made = {}
    for number in range(6):
        path = people(tmp_path / f"{number}.csv", f"daemon{number}", 30)
        made[field.upload(path)] = path
        field.kill("dagster-daemon")
        time.sleep(3)
    for upload_id in made:
        field.wait(upload_id, seconds=500)
    field.quiet()
    invariants.check(field.settings, field.store, made, None)


def test_f8_redis_is_lost_while_an_import_runs(field, long_file):
    upload_id = mid_import(field, long_file)
    field.flush_redis()
    field.kill("valkey")
    assert field.call("POST", f"/api/imports/{upload_id}/cancel").json()["state"] == "cancelled"
    assert field.call("POST", f"/api/imports/{upload_id}/import-again").json()["state"] == "queued"
    field.wait(upload_id)
    field.quiet()
    invariants.check(field.settings, field.store, {upload_id: long_file}, None)


def test_f14_f15_several_people_launch_one_import_at_once(field, long_file):
    upload_id = mid_import(field, long_file)
    record = queries.find(field.connection, upload_id)
    key = partition_key(upload_id, record.uploaded_at)

    def launch(_: int) -> str:
        try:
            run_id: str = field.dagster.launch(key)
        except AssertionError:
            # A connection of the webserver's that did not outlive the test before, whose Postgres was killed.
            run_id = field.dagster.launch(key)
        return run_id

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(launch, range(3)))
    field.wait(upload_id)
    field.quiet(400)
    invariants.check(field.settings, field.store, {upload_id: long_file}, None)


def test_d13_an_object_can_come_again_overwritten_put_back_undone_and_put_again(field):
    key = "uploads/again and again.csv"
    first, second = b"Email,Title\nagain@x.example,one\n", b"Email,Title\nagain@x.example,two\n"

    def put(body: bytes) -> str:
        known = {record.upload_id for record in queries.recent(field.connection, 500)}
        field.store.s3.put_object(Bucket=field.store.bucket, Key=key, Body=body)

        def registered() -> str | None:
            return next(
                (
                    record.upload_id
                    for record in queries.recent(field.connection, 500)
                    if record.object_key == key and record.upload_id not in known
                ),
                None,
            )

        upload_id = eventually(registered, 60, step=0.5)
        field.wait(upload_id)
        answer: str = upload_id
        return answer

    def title() -> str | None:
        row = field.connection.execute("SELECT title FROM contacts WHERE email = 'again@x.example'").fetchone()
        answer: str | None = row["title"] if row else None
        return answer

    made = [put(first), put(second)]
    assert title() == "two"
    made.append(put(first))
    assert title() == "one"
    for upload_id in made:
        assert field.call("POST", f"/api/imports/{upload_id}/undo").json()["state"] == "undone"
    assert title() is None
    put(first)
    assert title() == "one"
    # Of the second the object is gone; the third's bytes are there again.
    for upload_id, state in ((made[1], "failed"), (made[2], "succeeded")):
        assert field.call("POST", f"/api/imports/{upload_id}/import-again").json()["state"] == "queued"
        field.wait(upload_id, state)


def test_e15_objects_with_odd_metadata_are_imported_and_in_nobodys_way(field):
    body = b"Email\nodd@x.example\n"
    for name, value in (("file-name", "%00"), ("owner", "a%00b"), ("file-name", "%0d%0a%1b[31m")):
        field.store.s3.put_object(
            Bucket=field.store.bucket, Key=f"uploads/odd-{value.strip('%')[:2]}{name}.csv", Body=body,
            Metadata={name: value},
        )  # fmt: skip
    field.store.s3.put_object(Bucket=field.store.bucket, Key="uploads/behind.csv", Body=b"Email\nbehind@x.example\n")

    def found(start: str) -> list[str]:
        return [
            record.upload_id
            for record in queries.recent(field.connection, 500)
            if record.object_key.startswith(f"uploads/{start}")
        ]

    (behind,) = eventually(lambda: found("behind"), 60)
    field.wait(behind)
    for upload_id in eventually(lambda: len(found("odd-")) == 3 and found("odd-"), 60):
        field.wait(upload_id)


def test_a4_the_api_dies_between_the_stores_completion_and_its_own_note(field, tmp_path):
    """The session stays `completing`; the import shows, can be cancelled, and succeeds all the same."""
    processes.stop(field.home, "supervisor")
    path = people(tmp_path / "a4.csv", "a4")
    begun = field.client._ask(
        "POST", "/api/upload/init/", json={"fileName": path.name, "fileSize": path.stat().st_size}
    )
    field.client._send(path, begun["uploadId"], 0, begun["chunkSize"])
    import redis

    client = redis.Redis.from_url(field.settings.redis_url, decode_responses=True)
    session = f"contact_pipeline:upload:{begun['uploadId']}"
    s3_upload_id = __import__("json").loads(client.hget(session, "session"))["s3_upload_id"]
    client.hset(session, mapping={"state": "completing", "moved_at": time.time()})
    parts = field.store.s3.list_parts(Bucket=field.store.bucket, Key=begun["s3Key"], UploadId=s3_upload_id)["Parts"]
    field.store.s3.complete_multipart_upload(
        Bucket=field.store.bucket, Key=begun["s3Key"], UploadId=s3_upload_id,
        MultipartUpload={"Parts": [{"PartNumber": one["PartNumber"], "ETag": one["ETag"]} for one in parts]},
    )  # fmt: skip
    client.close()
    field.wait(begun["uploadId"])
    progress = field.client.progress(begun["uploadId"])
    assert (progress["phase"], progress["state"]) == ("finished", "succeeded")
    supervisor.leave_supervisor(field.home, lambda _: None)


def test_f5_what_dies_is_started_again_by_the_supervisor(field):
    for name in ("dagster-code", "api"):
        field.kill(name)
        eventually(lambda name=name: not processes.is_running(field.home, name), 10)  # type: ignore[misc]
        eventually(lambda: control.status(field.home)["running"], 180, step=1)
        assert control.status(field.home)["restarts"][name] >= 1


def test_two_ups_at_once_are_harmless(field):
    before = {name: processes._read(field.home, name)["pid"] for name in processes.noted(field.home)}
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: control.up(field.home, lambda _: None), range(2)))
    assert {name: processes._read(field.home, name)["pid"] for name in processes.noted(field.home)} == before


def test_f20_f21_a_copied_home_starts_servers_of_its_own(field, tmp_path):
    copy = Home(tmp_path / "copy")
    shutil.copytree(field.home.path, copy.path, ignore=shutil.ignore_patterns("*.sock", "tmp"))
    assert processes.noted(copy) == []
    try:
        control.up(copy, lambda _: None)
        assert copy.settings().api_url != field.settings.api_url
        pids = {processes._read(copy, name)["pid"] for name in processes.noted(copy)}
        ours = {processes._read(field.home, name)["pid"] for name in processes.noted(field.home)}
        assert not pids & ours
    finally:
        control.down(copy, lambda _: None)
    assert all(psutil.pid_exists(pid) for pid in ours)
    assert control.status(field.home)["running"]

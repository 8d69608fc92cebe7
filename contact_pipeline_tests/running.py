"""Helpers that run imports, with and without Dagster, and look at what they left."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from contact_pipeline import crash_points
from contact_pipeline.bucket_listing import KeyRange, list_pages
from contact_pipeline.database import cancelling, claims, deciding, queries, registration
from contact_pipeline.database.claims import Claim
from contact_pipeline.database.contact_tables import contacts
from contact_pipeline.database.postgres import Connection, KeptConnection
from contact_pipeline.errors import FileRefused, ImportCancelled
from contact_pipeline.importing import loading, planning, publishing
from contact_pipeline.importing.progress import Progress, ProgressBoard
from contact_pipeline.importing.report import summarise
from contact_pipeline.object_store import ObjectStore, StoredObject
from contact_pipeline.settings import Settings
from contact_pipeline.stack.dagster_servers import graphql
from contact_pipeline.stack.home import Home
from contact_pipeline.stack.servers import settings_environment

NOT_CONTENT = {
    "key",
    "row_hash",
    "record_hash",
    "created_at",
    "updated_at",
    "created_by_import",
    "updated_by_import",
    "updated_by_upload_at",
}
"""Columns that two imports of the same content may differ in."""

_COUNTED = ("rows", "inserted", "updated", "unchanged", "duplicate_in_file", "rejected", "not_attempted", "warnings")


@dataclass
class Importer:
    """Imports files into a test's own database, step by step."""

    settings: Settings
    store: ObjectStore
    connection: Connection

    def register(self, path: Path, uploaded_at: datetime | None = None) -> str:
        """Put a file into the bucket and enter it into the ledger; returns the upload's id."""
        upload_id = uuid.uuid4().hex
        key = f"uploads/{upload_id}{path.suffix}"
        self.store.s3.upload_file(str(path), self.store.bucket, key)
        found = self.store.find(key)
        assert found is not None
        stored = found[0]
        registration.register(
            self.connection,
            registration.Registration(
                upload_id,
                self.store.bucket,
                key,
                stored.etag,
                stored.size,
                uploaded_at or stored.uploaded_at,
                path.name,
                "tester",
            ),
        )
        return upload_id

    def claim(self, upload_id: str, run_id: str | None = None) -> Claim:
        """Claim an import for a run; every other run counts as over."""
        return claims.claim(self.connection, upload_id, run_id or uuid.uuid4().hex, datetime.now(UTC), lambda _: True)

    def load(
        self,
        upload_id: str,
        on_chunk: Callable[[Progress, int], None] = lambda *_: None,
        run_id: str | None = None,
        **chosen: Any,
    ) -> dict[str, Any]:
        """Run all steps of one attempt; returns the summary."""
        claim = self.claim(upload_id, run_id)
        if claim.finished:
            return self.summary(upload_id)
        plan = planning.open_import(self.connection, self.store, claim, chosen)
        claim = self.claim(upload_id, claim.run_id)
        board = ProgressBoard.from_url(self.settings.redis_url)
        with closing(KeptConnection(self.settings.database_url)) as database:
            loading.load_chunks(
                database, self.store, board, claim, plan, on_chunk,
                session_database_url=self.settings.session_database_url,
            )  # fmt: skip
        if self.summary(upload_id)["state"] != "checked":
            publishing.verify_import(self.connection, claim)
            publishing.publish_import(self.connection, self.store, board, claim)
        return self.summary(upload_id)

    def run(self, path: Path, uploaded_at: datetime | None = None, **chosen: Any) -> dict[str, Any]:
        """Import a file from beginning to end, with options; returns the summary.

        It is checked first, as a person who looks at it has it checked: the import must do what the check has said.
        """
        upload_id = self.register(path, uploaded_at)
        if chosen.get("mode") == "check":
            return self.load(upload_id, **chosen)
        try:
            checked = self.load(upload_id, **chosen, mode="check")
        except FileRefused as refused:
            with pytest.raises(FileRefused, match=f"^{re.escape(str(refused))}$"):
                self.load(upload_id, **chosen, mode="import")
            raise
        record = queries.find(self.connection, upload_id)
        assert record is not None
        assert record.report is not None
        by_reason = record.report["rejects_by_column"]
        deciding.decide(self.connection, upload_id, "tester", {"mode": "import"})
        try:
            done = self.load(upload_id, **chosen, mode="import")
        except FileRefused:
            if record.report["stopped"] is None:
                pytest.fail("the check did not say that the import would stop")
            raise
        assert record.report["stopped"] is None
        assert {name: done[name] for name in _COUNTED} == {name: checked[name] for name in _COUNTED}, (
            f"{done} {checked}"
        )
        assert [asdict(one) for one in queries.rejects_by_code_and_column(self.connection, upload_id)] == by_reason
        return done

    def summary(self, upload_id: str) -> dict[str, Any]:
        """What became of the import's rows."""
        record = queries.find(self.connection, upload_id)
        assert record is not None
        return asdict(summarise(self.connection, record))

    def contacts(self, order: str = "key") -> list[dict[str, Any]]:
        """All contacts."""
        return self.connection.execute(f"SELECT * FROM contacts ORDER BY {order}".encode()).fetchall()

    def rejects(self, upload_id: str) -> list[dict[str, Any]]:
        """All rejected rows, with their content."""
        return self.connection.execute(
            'SELECT * FROM rejected_rows WHERE upload_id = %s ORDER BY "row"', (upload_id,)
        ).fetchall()


def cancel_kill_and_resume(importer: Importer, path: Path) -> dict[str, Any]:
    """Import a file that is cancelled after its first chunk, then killed after its next; returns the summary."""

    def cancel(_progress: Progress, chunks: int) -> None:
        if chunks == 1:
            cancelling.cancel(importer.connection, upload_id, "tester")

    upload_id = importer.register(path)
    with pytest.raises(ImportCancelled):
        importer.load(upload_id, cancel)
    assert importer.summary(upload_id)["state"] == "cancelled"
    deciding.import_again(importer.connection, upload_id, "tester")
    crash(importer.settings, "import", upload_id, "after_commit")
    return importer.load(upload_id)


def crash(settings: Settings, what: str, upload_id: str, at: str) -> None:
    """Import or undo in a process that dies at a named place."""
    done = subprocess.run(
        [sys.executable, "-m", "contact_pipeline_tests.faults.one_import", what, upload_id],
        env={**os.environ, **settings_environment(settings), crash_points.VARIABLE: at},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, f"{at} was not reached: {done.stderr[-500:]}"


def answers(database_url: str) -> bool:
    """Whether a server lets itself be connected to."""
    try:
        psycopg.connect(database_url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def content(connection: Connection, condition: str = "true", *parameters: Any) -> list[str]:
    """Everything that the contacts say, as one digest a contact, in an order of its own."""
    columns = ", ".join(column.name for column in contacts.columns if column.name not in NOT_CONTENT)
    rows = connection.execute(
        f"SELECT md5(ROW({columns})::text) AS digest FROM contacts WHERE {condition} ORDER BY 1".encode(), parameters
    ).fetchall()
    return [row["digest"] for row in rows]


def objects_in(store: ObjectStore) -> list[StoredObject]:
    """All objects of a bucket that lie under `uploads/`."""
    pages, left = list_pages(store, [KeyRange()], 60)
    assert left == []
    return [stored for page in pages for stored in page.objects]


def count_rows(path: Path) -> int:
    """Rows of a file as Python's csv counts them."""
    with path.open(encoding="utf-8-sig", newline="") as source:
        return sum(1 for row in csv.reader(source) if row) - 1


def independent_counts(path: Path) -> tuple[int, int]:
    """Rows of a sample file that load, and that do not, as Python's csv and a few lines here see it."""
    with path.open(newline="", encoding="utf-8") as source:
        header, *rows = csv.reader(source)
    at = {title: position for position, title in enumerate(header)}
    loads = 0
    for row in rows:
        whole = len(row) == len(header)
        # A further e-mail tells who a row is that has neither an id nor a first one.
        further = whole and not row[at["Email"]] and (row[at["Secondary Email"]] or row[at["Tertiary Email"]])
        loads += whole and bool(row[at["Apollo Contact Id"]] or further)
    return loads, len(rows) - loads


def accounted(summary: dict[str, Any]) -> int:
    """Rows that a summary accounts for."""
    names = ("inserted", "updated", "unchanged", "duplicate_in_file", "rejected")
    answer: int = sum(summary[name] for name in names) + (summary["not_attempted"] or 0)
    return answer


def eventually(condition: Callable[[], Any], seconds: float = 60, step: float = 0.05) -> Any:
    """Wait for a condition, and return what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(step)


def run_processes(home: Home) -> list[psutil.Process]:
    """The processes of runs: forked from the fork server, whose command line they have."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ", "ppid"]):
        environ, command = process.info["environ"] or {}, " ".join(process.info["cmdline"] or ())
        if environ.get("DAGSTER_HOME") != str(home.dagster) or "multiprocessing.forkserver" not in command:
            continue
        with suppress(psutil.NoSuchProcess):
            if "multiprocessing.forkserver" in " ".join(psutil.Process(process.info["ppid"]).cmdline()):
                found.append(process)
    return found


@dataclass
class Dagster:
    """Dagster's webserver, as the UI talks to it."""

    url: str

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        data = graphql(self.url, query, variables)
        assert data is not None, "Dagster's webserver refused the query"
        return data

    def runs(self, upload_id: str) -> list[dict[str, Any]]:
        """The runs of an upload, newest first."""
        data = self.ask(
            """query ($tags: [ExecutionTag!]) { runsOrError(filter: {tags: $tags}) { ... on Runs { results {
                   runId status tags { key value } } } } }""",
            tags=[{"key": "contact_pipeline/upload_id", "value": upload_id}],
        )
        answer: list[dict[str, Any]] = data["runsOrError"]["results"]
        return answer

    def status(self, run_id: str) -> str:
        data = self.ask("query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }", id=run_id)
        answer: str = data["runOrError"]["status"]
        return answer

    def terminate(self, run_id: str) -> str:
        """What the UI's Terminate does; returns the type of the answer."""
        data = self.ask(
            "mutation ($id: String!) { terminateRun(runId: $id) { __typename } }",
            id=run_id,
        )
        answer: str = data["terminateRun"]["__typename"]
        return answer

    def launch(self, partition_key: str, options: dict[str, Any] | None = None, **tags: str) -> str:
        """What the UI's launch of one partition does, with options in the launchpad; returns the run's id."""
        config = {"ops": {"contacts": {"config": options}}} if options else {}
        selector = {
            "repositoryLocationName": "contact_pipeline",
            "repositoryName": "__repository__",
            "jobName": "import_contacts",
        }
        listed = [{"key": "dagster/partition", "value": partition_key}]
        listed += [{"key": key, "value": value} for key, value in tags.items()]
        data = self.ask(
            """mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
                   ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
            params={"selector": selector, "runConfigData": config, "executionMetadata": {"tags": listed}},
        )
        assert data["launchRun"]["__typename"] == "LaunchRunSuccess", data
        answer: str = data["launchRun"]["run"]["runId"]
        return answer

    def reexecute(self, run_id: str, strategy: str = "ALL_STEPS") -> str:
        """What the UI's Re-execute does; returns the new run's id."""
        data = self.ask(
            """mutation ($params: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $params) { __typename
                   ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
            params={"parentRunId": run_id, "strategy": strategy},
        )
        assert data["launchRunReexecution"]["__typename"] == "LaunchRunSuccess", data
        answer: str = data["launchRunReexecution"]["run"]["runId"]
        return answer

    def backfill(self, partition_keys: list[str]) -> str:
        """What the UI's Materialize of several partitions does; returns the backfill's id."""
        data = self.ask(
            """mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
                   __typename
                   ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
            params={"assetSelection": [{"path": ["contacts"]}], "partitionNames": partition_keys},
        )
        assert data["launchPartitionBackfill"]["__typename"] == "LaunchBackfillSuccess", data
        answer: str = data["launchPartitionBackfill"]["backfillId"]
        return answer


def metadata_of(dagster: Dagster, upload_id: str) -> dict[str, Any]:
    """Metadata of the materialisation that an upload's newest run made."""
    data = dagster.ask(
        """query ($tags: [ExecutionTag!]) { runsOrError(filter: {tags: $tags}) { ... on Runs { results {
               assetMaterializations { partition metadataEntries { label ... on IntMetadataEntry { intValue }
                   ... on MarkdownMetadataEntry { mdStr } ... on UrlMetadataEntry { url } } } } } } }""",
        tags=[{"key": "contact_pipeline/upload_id", "value": upload_id}],
    )
    (materialisation,) = data["runsOrError"]["results"][0]["assetMaterializations"]
    entries = {
        entry["label"]: next((entry[kind] for kind in ("intValue", "mdStr", "url") if kind in entry), None)
        for entry in materialisation["metadataEntries"]
    }
    return entries | {"partition": materialisation["partition"]}

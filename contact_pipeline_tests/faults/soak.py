"""A random nemesis over imports that overlap in people, with undo and cancel among its moves, and a serial oracle.

    python -m contact_pipeline_tests.faults.soak MINUTES SEED

Every file gives all fields of its people, so that the order of uploads decides, and not the order of commits.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psycopg

from contact_pipeline.database import migration, postgres, queries
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.stack import control, supervisor
from contact_pipeline.stack.home import Home
from contact_pipeline_tests.faults import invariants
from contact_pipeline_tests.faults.field import Field
from contact_pipeline_tests.running import Importer, content, eventually

PEOPLE = 40_000
MAX_OPEN = 8


class Soak:
    """One soak."""

    def __init__(self, field: Field, rng: random.Random, folder: Path) -> None:
        self.field = field
        self.rng = rng
        self.folder = folder
        self.files: dict[str, Path] = {}
        self.moves: Counter[str] = Counter()

    def write(self) -> Path:
        """A file of some people, told by their ids or by their e-mails."""
        number = len(list(self.folder.glob("*.csv")))
        path = self.folder / f"{number}.csv"
        first, rows = self.rng.randrange(PEOPLE), self.rng.choice([200, 3_000, 25_000])
        step = self.rng.choice([1, 3])
        by_id = self.rng.random() < 0.5
        with path.open("w") as output:
            output.write(("Apollo Contact Id," if by_id else "") + "Email,First Name,Title\n")
            for at in range(rows):
                one = (first + at * step) % PEOPLE
                # Those with an id and those without are other people: else an upload's blanks would be its id.
                kind = "i" if by_id else "e"
                output.write((f"id{one}," if by_id else "") + f"{kind}{one}@x.example,P{one},title {number}\n")
        if self.files and self.rng.random() < 0.2:
            path.write_bytes(self.rng.choice(list(self.files.values())).read_bytes())
        return path

    def upload(self) -> None:
        """One more import."""
        path = self.write()
        self.files[self.field.upload(path)] = path

    def states(self) -> dict[str, str]:
        """The state of each import."""
        return {upload_id: self.field.state(upload_id) or "unseen" for upload_id in self.files}

    def some(self, *wanted: str) -> str | None:
        """An import in one of these states."""
        found = [upload_id for upload_id, state in self.states().items() if state in wanted]
        return self.rng.choice(found) if found else None

    def post(self, what: str, *states: str) -> None:
        """Cancel, undo or import again."""
        upload_id = self.some(*states)
        if upload_id is not None:
            self.field.call("POST", f"/api/imports/{upload_id}/{what}")

    def freeze(self) -> None:
        """A run stands still for a while."""
        for worker in self.field.workers()[:1]:
            with contextlib.suppress(Exception):
                worker.suspend()
                time.sleep(self.rng.choice([2, 20]))
                worker.resume()

    def cut_connections(self) -> None:
        """Every connection that loads is ended."""
        self.field.connection.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE application_name = 'contact-pipeline import'"""
        )

    def move(self) -> None:
        """One move of the nemesis."""
        moves: list[tuple[int, str, Callable[[], object]]] = [
            (6, "upload", self.upload),
            (2, "kill the runs", self.field.kill_workers),
            (2, "freeze a run", self.freeze),
            (2, "cut the connections", self.cut_connections),
            (2, "cancel", lambda: self.post("cancel", "queued", "loading", "verifying")),
            (2, "undo", lambda: self.post("undo", "succeeded", "cancelled", "failed")),
            (2, "import again", lambda: self.post("import-again", "cancelled", "undone", "failed")),
            (1, "kill the code server", lambda: self.field.kill("dagster-code")),
            (1, "kill the daemon", lambda: self.field.kill("dagster-daemon")),
            (1, "kill the API", lambda: self.field.kill("api")),
            (1, "kill Postgres", lambda: self.field.kill("postgres", signal.SIGQUIT)),
            (1, "flush Redis", self.field.flush_redis),
            (1, "kill Redis", lambda: self.field.kill("valkey")),
        ]
        open_imports = sum(state in ("queued", "loading", "verifying", "unseen") for state in self.states().values())
        if open_imports >= MAX_OPEN:
            moves = moves[1:]
        weights = [weight for weight, _, _ in moves]
        _, name, make = self.rng.choices(moves, weights)[0]
        self.moves[name] += 1
        # What is dead may refuse: that is the soak's own doing.
        with contextlib.suppress(Exception):
            make()

    def settle(self) -> None:
        """The faults end: everything comes to an end by itself, and then whatever was cancelled is taken back."""
        eventually(lambda: control.status(self.field.home)["running"], 240, step=2)
        over = (*invariants.TERMINAL,)
        eventually(lambda: all(state in over for state in self.states().values()), 1800, step=2)
        for upload_id, state in self.states().items():
            if state in ("cancelled", "failed"):
                answer = self.field.call("POST", f"/api/imports/{upload_id}/undo")
                assert answer.status_code == 200, answer.text
        eventually(lambda: all(state in ("succeeded", "undone") for state in self.states().values()), 600, step=1)
        self.field.quiet(600)


def replay(field: Field, files: dict[str, Path]) -> list[str]:
    """The contacts that the standing imports give, imported one after another into an empty database."""
    base = field.settings.database_url.rsplit("/", 1)[0]
    with psycopg.connect(f"{base}/postgres", autocommit=True) as maintenance:
        maintenance.execute("DROP DATABASE IF EXISTS oracle")
        maintenance.execute("CREATE DATABASE oracle")
    settings = field.settings.model_copy(update={"database_url": f"{base}/oracle", "s3_bucket": "oracle"})
    migration.migrate(settings.database_url)
    store = ObjectStore.from_settings(settings)
    store.ensure_bucket()
    connection = postgres.connect(settings.database_url)
    serial = Importer(settings, store, connection)
    records = [queries.find(field.connection, upload_id) for upload_id in files]
    standing = sorted((r.ordered_at, r.upload_id) for r in records if r and r.state == "succeeded")
    first = standing[0][0] if standing else None
    for number, (_, upload_id) in enumerate(standing):
        assert first is not None
        serial.run(files[upload_id], first + timedelta(days=number))
    found = content(connection)
    connection.close()
    return found


def main(minutes: float, seed: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    home = Home(folder / "home")
    control.up(home, lambda _: None)
    supervisor.leave_supervisor(home, lambda _: None)
    field = Field(home)
    soak = Soak(field, random.Random(seed), folder)
    print(f"soak of {minutes:g} minutes, seed {seed}", flush=True)
    try:
        ends = time.monotonic() + 60 * minutes
        while time.monotonic() < ends:
            soak.move()
            time.sleep(soak.rng.uniform(0.5, 5))
        soak.settle()
        invariants.check(field.settings, field.store, soak.files, replay(field, soak.files))
        states = Counter(soak.states().values())
        print(f"{len(soak.files)} imports: {dict(states)}; moves: {dict(soak.moves)}")
        print("nothing lost, doubled or stuck")
    finally:
        field.close()
        control.down(home, lambda _: None)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))

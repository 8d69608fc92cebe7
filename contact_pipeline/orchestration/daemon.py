"""Dagster's daemon, which looks every second whether a sensor's tick is due. Everything else is `dagster-daemon`.

Dagster's own looks every five seconds. So an upload that was complete right after another waited for so long: the tick
that had waited for it was over with the first.

python -m contact_pipeline.orchestration.daemon run -w WORKSPACE
"""

from __future__ import annotations

from typing import Final

from dagster._daemon import sensor
from dagster._daemon.cli import main as dagster_daemon

_LOOK_EVERY_SECONDS: Final = 1


def main() -> None:
    """Run, by the arguments of `dagster-daemon`."""
    # There is no setting for it.
    sensor.MIN_INTERVAL_LOOP_TIME = _LOOK_EVERY_SECONDS
    dagster_daemon()


if __name__ == "__main__":
    main()

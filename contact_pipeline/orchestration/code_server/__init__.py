"""Dagster's code server, and what the runs that it forks have loaded beforehand."""

from typing import Final

LOADED: Final = (
    "dagster._grpc.impl",
    "contact_pipeline.definitions",
    "contact_pipeline.orchestration.code_server.preloaded",
)
"""Modules that the process has which runs are forked from, in the order in which it imports them."""

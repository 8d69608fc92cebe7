"""Starting programs of this installation, and asking an address whether it answers."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import httpx


def script(name: str) -> str:
    """Path of a program that a package installed beside this interpreter."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def http_answers(url: str) -> bool:
    """Whether an address answers with 200."""
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False

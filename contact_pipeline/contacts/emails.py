"""E-mail addresses: what one is, and which a cell holds.

What is cut out of a cell and what the schema accepts is one definition: HTML's of a
valid e-mail address (whatwg.org, "valid e-mail address": RFC 5322's dot-atom), with
at least one dot in the domain, and letters of any script (RFC 6531).
"""

from __future__ import annotations

import html
import re
from typing import Final

import idna

_LETTERS: Final = r"\u0080-\U0010ffff"
_LOCAL: Final = rf"[a-z0-9.!#$%&'*+/=?^_`{{|}}~\-{_LETTERS}]+"
_LABEL: Final = rf"[a-z0-9{_LETTERS}](?:[a-z0-9\-{_LETTERS}]*[a-z0-9{_LETTERS}])?"
ADDRESS: Final = rf"{_LOCAL}@{_LABEL}(?:\.{_LABEL})+"
"""An address in lower case, as a regular expression of both Python's and Rust's dialect, without anchors."""

UNUSUAL: Final = r"[\s&;,<>|()\[\]\"]|mailto:|\.$|@.*xn--|@.*[^\x00-\x7f]|^'"
"""What a cell in lower case holds that is more than one plain address."""

_ADDRESS: Final = re.compile(ADDRESS)
_IN_BRACKETS: Final = re.compile(r"<([^<>]*@[^<>]*)>")
_LISTED: Final = re.compile(r"[;,|\n]+")
_BLANKS: Final = re.compile(r"[\s()\[\]]+")
_COMMENT: Final = re.compile(r"\([^()@]*\)")
"""As in RFC 5322: `ada@x.example (work)`."""
_ENTITY: Final = re.compile(r"&(?:#\d{1,5}|#x[0-9a-f]{1,4}|amp|quot|apos|lt|gt);")
_NOTHING: Final = " <>\"'`,;|.:\u2018\u2019\u201c\u201d\u201e"
_QUOTES: Final = '<>"`\u2018\u2019\u201c\u201d\u201e'
_APOSTROPHE: Final = "'"


def addresses(text: str) -> tuple[list[str], bool]:
    """The addresses of a cell, in lower case, without the names around them.

    Returns:
        The addresses, and whether the cell holds nothing else that means to be one. The text as it is where it holds
        none.
    """
    lower = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text.strip().lower())
    found: dict[str, None] = {}
    whole = True
    for part in _LISTED.split(lower):
        bracketed = _IN_BRACKETS.findall(part)
        for written in [*bracketed, *_BLANKS.split(_IN_BRACKETS.sub(" ", _COMMENT.sub(" ", part)))]:
            address = _plain(written)
            if address is not None:
                found[address] = None
            # Names before `<ada@x.example>` say nothing of their own; what else there is may be a piece of the address.
            elif "@" in written or (written.strip(_NOTHING) and not _IN_BRACKETS.search(lower)):
                whole = False
    return (list(found), whole) if found else ([lower], True)


def is_address(text: str) -> bool:
    """Whether a text in lower case is one address and nothing else."""
    return _ADDRESS.fullmatch(text) is not None


def _plain(written: str) -> str | None:
    """One address: without quotes around it, `mailto:` or a trailing dot, its domain in Unicode."""
    bare = written.strip().removeprefix("mailto:").strip()
    if bare.startswith(_APOSTROPHE) and bare.endswith(_APOSTROPHE):
        bare = bare[1:-1]
    # A lone one is a spreadsheet's sign for text.
    bare = bare.removeprefix(_APOSTROPHE).strip(_QUOTES).rstrip(".\u2026")
    if not _ADDRESS.fullmatch(bare):
        return None
    local, _, domain = bare.rpartition("@")
    decoded = _decoded(domain)
    return None if decoded is None else f"{local}@{decoded}"


def unicode_domain(domain: str) -> str:
    """A domain's labels as people write them: `xn--mnchen-3ya` and `münchen` are one (RFC 5891)."""
    return _decoded(domain) or domain


def _decoded(domain: str) -> str | None:
    if domain.isascii() and "xn--" not in domain:
        return domain
    try:
        return idna.decode(idna.encode(domain, uts46=True))
    except (idna.IDNAError, UnicodeError):
        return None

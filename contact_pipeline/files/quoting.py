"""Quotes that are not written as CSV has them: escaped by backslashes, or behind a blank."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator


def without_backslashes(blocks: Iterable[bytes], quote: str) -> Iterator[bytes]:
    r"""Turn `\"` into `""` and `\\` into `\`, as MySQL and others escape; other backslashes stay."""
    mark = quote.encode()
    escape = re.compile(rb"\\([\\%s])" % mark)

    def plain(found: re.Match[bytes]) -> bytes:
        return mark + mark if found[1] == mark else b"\\"

    held = b""
    for block in blocks:
        data = held + block
        trailing = len(data) - len(data.rstrip(b"\\"))
        cut = len(data) - trailing % 2
        held = data[cut:]
        yield escape.sub(plain, data[:cut])
    if held:
        yield held


def without_blanks_before_quotes(blocks: Iterable[bytes], delimiter: str) -> Iterator[bytes]:
    """Turn `a, "b"` into `a,"b"`, where a file has a blank behind each delimiter; blanks within values stay."""
    pattern = _blank_before_quote(delimiter)
    held = b""
    for block in blocks:
        data = held + block
        cut = data.rfind(b"\n") + 1
        held = data[cut:]
        yield pattern.sub(b"", data[:cut])
    yield pattern.sub(b"", held)


def _blank_before_quote(delimiter: str) -> re.Pattern[bytes]:
    # Within a quoted value a quote is doubled: only one that stands alone, or encloses nothing, opens a value.
    d = re.escape(delimiter.encode())
    return re.compile(rb'(?<=%(d)s) +(?="(?:[^"]|"(?:%(d)s|\r|\n|\Z)))' % {b"d": d})


def has_blanks_before_quotes(sample: bytes, delimiter: str) -> bool:
    """Whether quoted values stand a blank behind the delimiter."""
    return len(_blank_before_quote(delimiter).findall(sample)) > sample.count(delimiter.encode() + b'"')


def escapes_by_backslash(sample: bytes, delimiter: str, quote: str) -> bool:
    r"""Whether a sample's quoted values escape quotes by `\"`: by doubling, its records would make no sense."""
    d, q = re.escape(delimiter.encode()), re.escape(quote.encode())
    inside = re.findall(rb"[^\\]\\(?:\\\\)*" + q + rb"(?!" + d + rb"|\r|\n|\Z|" + q + rb")", sample)
    doubled = re.findall(rb"[^%(d)s\r\n%(q)s]%(q)s%(q)s[^%(d)s\r\n%(q)s]" % {b"d": d, b"q": q}, sample)
    return len(inside) > len(doubled)

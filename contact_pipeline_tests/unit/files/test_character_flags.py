import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contact_pipeline.contacts.texts import CharacterFlags
from contact_pipeline.files.csv import records
from contact_pipeline.files.csv.characters import find_character_flags
from contact_pipeline.files.csv.records import CsvFormat

pieces = st.sampled_from(
    ["a", ",", '"', "=", '="', "=0", ":", ":::", " ::: ", "\n", "\x07",
     "\u200b", "\u2060", "\ufeff", "\u200e", "\u202a",
     "\u2066", "e\u0301", "\u30ab\u3099", "\u00a0", "\u00e9", "\u20ac", "\u3000", "\U0001f600", "\u2069", "\u200f"]
)  # fmt: skip


def naive(text: str) -> CharacterFlags:
    return CharacterFlags(
        controls=re.search(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]", text) is not None,
        zero_width=re.search("[\u200b\u2060\ufeff]", text) is not None,
        direction_marks=re.search("[\u200c-\u200f\u202a-\u202e\u2066-\u2069]", text) is not None,
        no_break_space="\u00a0" in text,
        excel_text='="' in text or "=0" in text,
        non_ascii=not text.isascii(),
        lists=":::" in text,
        combining=re.search("[\u0300-\u036f\u3099\u309a\u1100-\u11ff]", text) is not None,
    )


@given(st.lists(pieces, max_size=12), st.integers(1, 9))
def test_what_is_found_is_what_is_there_wherever_slices_end(parts, size):
    text = "".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "_SLICE", size)
        assert find_character_flags(text.encode(), CsvFormat()) == naive(text)

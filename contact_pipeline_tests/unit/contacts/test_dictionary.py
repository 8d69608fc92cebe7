import polars as pl
import pytest

from contact_pipeline.contacts.cleaning import clean, is_parsed
from contact_pipeline.contacts.dictionary import ABOUT
from contact_pipeline.contacts.field import Kind
from contact_pipeline.contacts.fields import FIELDS
from contact_pipeline.contacts.schema import diagnose, rules
from contact_pipeline.contacts.texts import CharacterFlags

EXAMPLES = [(kind, written, stored) for kind, about in ABOUT.items() for written, stored in about.examples]


def field_of(kind: Kind):
    return next(field for field in FIELDS if field.kind is kind)


@pytest.mark.parametrize(("kind", "written", "stored"), EXAMPLES)
def test_every_example_is_true(kind, written, stored):
    name = field_of(kind).name
    frame = clean(pl.DataFrame({name: [written]}), CharacterFlags()).frame
    value = frame[name][0]
    wrong = diagnose(frame.with_row_index("index"))
    if stored:
        assert (str(value).lower() if kind is Kind.BOOLEAN else str(value)) == stored
        assert not wrong.height
    else:
        assert value is None or wrong["field"].to_list() == [name]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_check_of_a_kind_is_told(kind):
    field = field_of(kind)
    columns = [f"unread:{field.name}", f"range:{field.name}"] if is_parsed(field) else []
    codes = {rule.code for rule in rules(field, columns)}
    told = set(ABOUT[kind].checks)
    assert codes - told <= ({"range"} if kind not in (Kind.AMOUNT, Kind.INTEGER) else set())
    assert told <= codes

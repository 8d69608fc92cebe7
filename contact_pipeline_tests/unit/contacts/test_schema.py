import random
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from contact_pipeline.contacts.cleaning import clean
from contact_pipeline.contacts.field import Kind
from contact_pipeline.contacts.fields import FIELDS
from contact_pipeline.contacts.messages import MESSAGES
from contact_pipeline.contacts.schema import contact_schema, diagnose, failing_rows
from contact_pipeline.contacts.texts import CharacterFlags
from contact_pipeline.errors import SchemaMismatch

WRITTEN = {
    Kind.TEXT: ["Ada", "", "x" * 5_000],
    Kind.LONG_TEXT: ["saas, b2b", ""],
    Kind.IDENTIFIER: ["5f3a", "", "has blank", "1.2E+11"],
    Kind.EMAIL: ["a@b.example", "Jörg@müller.example", "", "nope", "a@b", "@x.example", "a b@c.example"],
    Kind.PHONE: ["'+1 415-555-0100", "", "call me", "12", "9.19E+11"],
    Kind.URL: ["http://www.acme.example", "acme.example", "", "not a url", "http://"],
    Kind.AMOUNT: ["12", "$1.2M", "", "much", "-4", "1K-5K"],
    Kind.INTEGER: ["12", "", "11-50", "few"],
    Kind.SCORE: ["0.6", "", "7000000", "x"],
    Kind.BOOLEAN: ["true", "", "maybe"],
    Kind.DATE: ["2021-05-01", "", "1066-10-14", "9999-12-31", "soon"],
    Kind.TIMESTAMP: ["2024-11-02T10:11:12+00:00", "", "0001-01-01", "soon"],
}


def random_chunk(rows: int = 400) -> pl.DataFrame:
    rng = random.Random(7)
    raw = {
        field.name: [rng.choice(WRITTEN[field.kind]) if rng.random() < 0.05 else "" for _ in range(rows)]
        for field in FIELDS
    }
    return clean(pl.DataFrame(raw), CharacterFlags()).frame


def test_the_schema_covers_every_field():
    assert set(contact_schema().columns) == {field.name for field in FIELDS}


def test_combined_check_and_diagnosis_agree_on_every_row():
    frame = random_chunk()
    failing = failing_rows(frame)
    diagnosed = set(diagnose(frame.with_row_index("index"))["index"].to_list())
    assert 0 < failing.sum() < frame.height
    assert {index for index, fails in enumerate(failing) if fails} == diagnosed


def test_a_sound_chunk_passes():
    frame = clean(pl.DataFrame({"email": ["a@b.example"], "employees": ["12"]}), CharacterFlags()).frame
    assert failing_rows(frame).to_list() == [False]


def test_chunks_are_validated_in_several_threads_at_once():
    """Pandera before 0.35 kept what it is configured to do in a global of the process."""

    def validate(seed: int) -> None:
        chosen = random.Random(seed)
        for share in (0.0, 0.3) * 25:
            wrong = [chosen.random() < share for _ in range(50)]
            raw = pl.DataFrame({"email": ["nobody" if one else "a@b.example" for one in wrong]})
            assert failing_rows(clean(raw, CharacterFlags()).frame).to_list() == wrong

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(validate, range(4)))


@pytest.mark.parametrize(
    ("field", "written", "code"),
    [
        ("email", "nope", "invalid_email"),
        ("mobile_phone", "9.19E+11", "scientific_notation"),
        ("mobile_phone", "call me", "invalid_phone"),
        ("website", "not a url", "invalid_url"),
        ("contact_id", "1.2E+11", "scientific_notation"),
        ("contact_id", "1 2", "invalid_identifier"),
        ("annual_revenue", "much", "invalid_amount"),
        ("annual_revenue", "$1M - $10M", "range"),
        ("employees", "11-50", "range"),
        ("employees", "some", "invalid_number"),
        ("do_not_call", "maybe", "invalid_boolean"),
        ("last_raised_at", "soon", "invalid_date"),
        ("last_raised_at", "1066-10-14", "out_of_range"),
        ("email_confidence", "85", "out_of_range"),
        ("title", "x" * 5_000, "too_long"),
    ],
)
def test_each_error_is_told_by_field_and_code(field, written, code):
    frame = clean(pl.DataFrame({field: ["", written]}), CharacterFlags()).frame.with_row_index("index")
    assert diagnose(frame).rows() == [(1, field, code)]


def test_every_code_has_its_sentence():
    frame = random_chunk().with_row_index("index")
    assert set(diagnose(frame)["code"].unique()) <= set(MESSAGES)


def test_a_chunk_of_the_wrong_shape_is_refused_whole():
    frame = random_chunk().drop("email")
    with pytest.raises(SchemaMismatch):
        failing_rows(frame)


def test_refusals_quote_no_value():
    frame = random_chunk().with_columns(pl.lit("canary@secret.example").alias("employees"))
    with pytest.raises(SchemaMismatch) as refused:
        failing_rows(frame)
    assert "canary" not in str(refused.value)
    assert refused.value.__cause__ is None

"""From a chunk of the file to a chunk that can be loaded: map, clean, validate, account for what fails."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import perf_counter

import polars as pl

from contact_pipeline.contacts.cleaning import clean
from contact_pipeline.contacts.identity import LINKEDIN_SLUG, NAME_COMPANY, has_identity, with_identity
from contact_pipeline.contacts.schema import diagnose, failing_rows
from contact_pipeline.files.csv_chunks import Chunk
from contact_pipeline.files.headers import Mapping as HeaderMapping
from contact_pipeline.warehouse.chunks import PreparedChunk, Reject
from contact_pipeline.warehouse.writing import EXTRA, PLACE, ROW_HASH, rehash

_INDEX = "index"


class Preparer:
    """Prepares the chunks of one file."""

    def __init__(self, header: Sequence[str], mapping: HeaderMapping) -> None:
        self._titles: Mapping[str, str] = {
            field: title for field, title in zip(mapping.fields, header, strict=True) if field is not None
        }
        self._positions = {field: str(at) for at, field in enumerate(mapping.fields) if field is not None}
        self._extra = {key: str(at) for at, key in enumerate(mapping.extra) if key is not None}
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @property
    def columns(self) -> list[str]:
        """Columns of the prepared contacts that go into the table."""
        extra = [EXTRA] if self._extra else []
        # The loader matches by these, also where the file has no such column.
        identity = [field for field in ("contact_id", "email") if field not in self._positions]
        return [*self._positions, *identity, *extra, LINKEDIN_SLUG, NAME_COMPANY, ROW_HASH]

    def prepare(self, chunk: Chunk) -> PreparedChunk:
        """Clean and validate a chunk.

        A value that fails is dropped and counted as a warning; its row is rejected
        where the value was what identifies it, or where nothing identifies it.
        """
        started = perf_counter()
        cleaned = clean(self._mapped(chunk.table), chunk.oddities)
        if self._extra:
            cleaned = cleaned.with_columns(self._extra_column(chunk.table))
        cleaned = cleaned.with_columns(chunk.places.alias(PLACE))
        cleaning_ended = perf_counter()
        failing = failing_rows(cleaned)
        errors = self._errors(cleaned, failing)
        validating_ended = perf_counter()

        cleaned, rejected, warnings = _settle(cleaned, errors)
        identified = with_identity(cleaned)
        nameless = identified.filter(~has_identity())[PLACE].to_list()
        for place in nameless:
            # Where the identifying value was wrong, that is what is wrong with the row.
            rejected.setdefault(place, [("missing_identity", "")])
        sound = identified.filter(~pl.col(PLACE).is_in(list(rejected))) if rejected else identified
        keep = [column for column in self.columns if column != ROW_HASH]
        contacts = rehash(sound.select(PLACE, *keep))

        # What the loader may still ask of the chunk needs its bytes, not its table.
        chunk = replace(chunk, table=chunk.table.clear())
        rejects = [self._reject(chunk, place, found) for place, found in rejected.items()]
        rejects += [self._reject(chunk, broken.place, [(broken.code, broken.column or "")]) for broken in chunk.broken]
        self.seconds["clean"] += cleaning_ended - started
        self.seconds["validate"] += validating_ended - cleaning_ended
        self.seconds["identify"] += perf_counter() - validating_ended
        return PreparedChunk(
            start=chunk.start,
            end_offset=chunk.end_offset,
            end_line=chunk.end_line,
            rows=chunk.rows,
            contacts=contacts,
            rejects=tuple(sorted(rejects, key=lambda reject: reject.row)),
            warnings=warnings,
            reject=lambda place, code, column: self._reject(chunk, place, [(code, column)]),
        )

    def _mapped(self, table: pl.DataFrame) -> pl.DataFrame:
        return table.select(pl.col(position).alias(field) for field, position in self._positions.items())

    def _extra_column(self, table: pl.DataFrame) -> pl.Series:
        """The unmapped columns as one JSON object a row, without the blank ones; null where all are blank."""
        members = []
        for key, position in self._extra.items():
            filled = table[position].str.strip_chars() != ""
            if filled.any():
                encoded = table.select(pl.struct(pl.col(position).alias(key)).struct.json_encode()).to_series()
                members.append(encoded.str.slice(1).str.head(-1).set(~filled, None))
        if not members:
            return pl.Series(EXTRA, [None] * table.height, dtype=pl.String())
        frame = pl.DataFrame([member.alias(str(at)) for at, member in enumerate(members)])
        joined = frame.select(pl.concat_str(pl.all(), separator=",", ignore_nulls=True)).to_series()
        return ("{" + joined + "}").set(joined == "", None).alias(EXTRA)

    def _errors(self, cleaned: pl.DataFrame, failing: pl.Series) -> pl.DataFrame:
        """Failing cells as `index` (row of the frame), `field`, `code`."""
        indexed = cleaned.with_row_index(_INDEX).filter(failing)
        return diagnose(indexed)

    def _reject(self, chunk: Chunk, place: int, found: Sequence[tuple[str, str]]) -> Reject:
        return Reject(
            row=chunk.start.row + place,
            line=chunk.line_of(place),
            codes=tuple(code for code, _ in found),
            columns=tuple(self._titles.get(column, column) for _, column in found),
            record=chunk.record(place),
        )


def _settle(
    cleaned: pl.DataFrame, errors: pl.DataFrame
) -> tuple[pl.DataFrame, dict[int, list[tuple[str, str]]], Counter[str]]:
    """Decide for each wrong value whether it costs the row or only itself.

    Returns:
        The rows with every wrong value blanked, the rejected places with their
        (code, field) pairs, and the warnings of the other rows by `code:field`.
    """
    warnings: Counter[str] = Counter()
    rejected: dict[int, list[tuple[str, str]]] = {}
    if not errors.height:
        return cleaned, rejected, warnings
    places = cleaned[PLACE].gather(errors[_INDEX]).to_list()
    wrong = [*zip(errors[_INDEX].to_list(), places, errors["field"].to_list(), errors["code"].to_list(), strict=True)]
    costly = _identifying_errors(cleaned, errors)
    for index, place, field, code in wrong:
        if (index, field) in costly:
            rejected.setdefault(place, []).append((code, field))
    for _, place, field, code in wrong:
        if place not in rejected:
            warnings[f"{code}:{field}"] += 1
        elif (code, field) not in rejected[place]:
            rejected[place].append((code, field))
    blanked = []
    for (field,), group in errors.group_by("field"):
        wrong_here = pl.repeat(False, cleaned.height, dtype=pl.Boolean(), eager=True).scatter(group[_INDEX], True)
        blanked.append(pl.when(~wrong_here).then(pl.col(str(field))).alias(str(field)))
    return cleaned.with_columns(blanked), rejected, warnings


def _identifying_errors(cleaned: pl.DataFrame, errors: pl.DataFrame) -> set[tuple[int, str]]:
    """Errors in the value that identifies the row: the highest rung of the ladder that it wrote anything on."""
    found = errors.select(_INDEX, "field").rows()
    wrong_ids = {index for index, field in found if field == "contact_id"}
    indexes = sorted({index for index, field in found if field in ("email", "person_linkedin_url")})
    ids = dict(zip(indexes, cleaned["contact_id"].gather(indexes).to_list(), strict=True))
    emails = dict(zip(indexes, cleaned["email"].gather(indexes).to_list(), strict=True))
    costly = set()
    for index, field in found:
        if field not in ("email", "person_linkedin_url"):
            continue
        identified_by_id = ids[index] is not None and index not in wrong_ids
        if identified_by_id or (field == "person_linkedin_url" and emails[index] is not None):
            continue
        costly.add((index, field))
    return costly

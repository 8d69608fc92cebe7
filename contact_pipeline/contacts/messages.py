"""What the codes of errors and warnings mean, for people."""

from __future__ import annotations

from typing import Final

MESSAGES: Final[dict[str, str]] = {
    "invalid_amount": "not an amount such as 1200000, 1,200,000 or $1.2M",
    "invalid_number": "not a number",
    "invalid_boolean": "not true or false",
    "invalid_date": "not a date such as 2024-05-01 or 5/1/2024",
    "invalid_timestamp": "not a time such as 2024-05-01T10:00:00+00:00",
    "invalid_email": "not an e-mail address",
    "invalid_phone": "not a phone number",
    "invalid_url": "not a web address",
    "invalid_identifier": "not an id (it has a blank inside)",
    "range": "a range such as 11-50, where one number is needed: the text is kept in `extra`",
    "scientific_notation": "rounded by a spreadsheet, such as 4.91E+11: what it was cannot be told",
    "out_of_range": "outside the range that this field can have",
    "too_long": "longer than this field can hold",
    "missing_identity": "the row has no id, e-mail or LinkedIn address, and no name with a company: "
    "nothing says who it is",
    "wrong_number_of_columns": "the row has more or fewer columns than the header",
    "nul_byte": "the row holds a NUL byte",
    "invalid_utf8": "the row holds bytes that are not UTF-8",
    "unclosed_quote": "a quote is opened and never closed",
    "stray_quote": "a quote stands inside a value that is not quoted, or text stands behind a closing quote",
    "row_piece": "a line with one value: perhaps the rest of a row that a line end within a value has torn in two",
    "torn_row": "the row stands beside a piece of a row that may belong to it: its first or last value may be cut off",
    "other_table": "the row belongs to a second table in the file: upload that table as a file of its own",
    "refused_by_database": "the database refused this row",
    "rounded_by_spreadsheet": "a rounded number such as 3.07E+11: it was taken as it stands",
    "several_values": "the cell holds more than the row has fields for: all of it is kept in `extra`",
    "impossible_phone": "more or fewer digits than numbers of that country have: kept as written",
    "merged_names_differ": "the row became one contact with another of a different name, by its id, e-mail or profile",
    "shared_id": "the ids of this column repeat beside different people: it was not used to tell people apart",
    "dates_undecided": "no date of this column says whether the day or the month comes first: read month first",
    "numbers_undecided": "no number of this column says whether `1.500` is a thousand and a half: read as thousands",
    "encoding_guessed": "the encoding of the text is a guess: if letters are wrong, undo the import and say it",
    "number_formats_not_read": "of .xls, .xlsb and .ods only values are read: zeros that a format shows are missing",
    "sheets_not_read": "the workbook has other sheets, which were not read",
    "no_rows": "the file has a header row and no row below it: nothing was imported",
    "empty_row": "a row without any value: it is no row",
    "repeated_header": "the header row comes again: it is no row",
    "footer": "a line below the table, such as a total: it is no row",
    "identity_conflict": "the id belongs to one contact and the e-mail to another: the id decided",
    "ambiguous_email": "several contacts share this e-mail and the row has no id: it was not merged into any of them",
}
"""What each error and warning code means, in a sentence that names no value."""

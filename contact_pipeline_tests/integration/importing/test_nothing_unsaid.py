"""A value is right, or it is said: what is told of an import whose file leaves doubts."""

from datetime import UTC, datetime, timedelta

import pytest

from contact_pipeline.database import queries
from contact_pipeline.database.undo.undoing import undo
from contact_pipeline.files.csv import reader
from contact_pipeline.importing.column_accounts import columns_of

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def warnings_of(importer, upload_id):
    return queries.find(importer.connection, upload_id).warnings


def test_an_id_that_repeats_beside_different_people_tells_nobody_apart(importer, write_csv):
    summary = importer.run(
        write_csv(
            "Customer ID,First Name,Last Name,Email,Company\n"
            "10017,Ada,Sample,ada@x.example,X Ltd\n"
            "10017,Ben,Muster,ben@x.example,X Ltd\n"
            "10017,Cleo,Example,cleo@x.example,X Ltd\n"
        )
    )
    assert (summary["inserted"], warnings_of(importer, summary["upload_id"])) == (3, {"shared_id:contact_id": 1})
    assert [(row["contact_id"], row["extra"]) for row in importer.contacts()] == [(None, {"Customer ID": "10017"})] * 3


@pytest.mark.parametrize(
    "rows",
    [
        "7,Ada,Sample,ada@x.example\n7,Ada,Sample,ada@work.example\n7,Ada,King,ada@x.example\n",
        "7,Ada,Sample,ada@x.example\n8,Ben,Muster,ben@x.example\n",
    ],
)
def test_an_id_that_repeats_beside_one_person_is_hers(importer, write_csv, rows):
    summary = importer.run(write_csv("Customer ID,First Name,Last Name,Email\n" + rows))
    assert "shared_id:contact_id" not in warnings_of(importer, summary["upload_id"])
    assert all(row["contact_id"] for row in importer.contacts())


def test_rows_that_become_one_contact_though_their_names_differ_are_told_with_their_numbers(importer, write_csv):
    header = "First Name,Last Name,Title,Email\n"
    first = importer.run(
        write_csv(
            header
            + "Ada,Sample,Owner,office@x.example\nRob,Lee,Cook,bob@x.example\nBen,Example,Clerk,office@x.example\n"
            "Robert,Lee,Chef,bob@x.example\n"
        )
    )
    second = importer.run(write_csv(header + "Cleo,Muster,Intern,office@x.example\n"), DAY.replace(year=2027))
    for summary, rows in ((first, [3]), (second, [1])):
        assert warnings_of(importer, summary["upload_id"]) == {"merged_names_differ": 1}
        assert queries.noted_rows(importer.connection, summary["upload_id"]) == {"merged_names_differ": rows}
    assert len(importer.contacts()) == 2


def test_linkedin_addresses_of_every_form_are_one_person(importer, write_csv):
    same = [
        "https://www.linkedin.com/in/jos%C3%A9-lee-b50576a7",
        "http://de.linkedin.com/in/jose\u0301-lee-b50576a7/",
        "linkedin.com/in/Jos\u00e9-Lee-b50576a7?trk=x",
        "https://uk.linkedin.com/pub/jos\u00e9-lee/a7/576/b50",
        "https://www.linkedin.com/mwlite/in/jos%c3%a9-lee-b50576a7",
    ]
    other = [
        "https://www.linkedin.com/pub/jos\u00e9-lee/1/2/3",
        "https://www.linkedin.com/sales/lead/ACw1,NAME,x",
        "https://www.linkedin.com/in/andr%e9",
        "https://www.linkedin.com/in/andr%e8",
    ]
    summary = importer.run(write_csv("First Name,LinkedIn\n" + "".join(f'Jos\u00e9,"{url}"\n' for url in same + other)))
    assert (summary["inserted"], summary["duplicate_in_file"]) == (5, 4)


def test_a_column_of_dates_is_read_one_way_as_a_whole(importer, write_csv):
    """What decides may stand far below what it decides."""
    rows = "".join(f"p{at}@x.example,03/04/2023,{'x' * 60}\n" for at in range(15_000))
    summary = importer.run(write_csv("Email,Last Raised At,Notes\n" + rows + "last@x.example,25/12/2023,x\n"))
    assert summary["warnings"] == 0
    found = importer.connection.execute(
        "SELECT DISTINCT last_raised_at::text AS day FROM contacts ORDER BY 1"
    ).fetchall()
    assert [row["day"] for row in found] == ["2023-04-03", "2023-12-25"]


def test_a_date_that_contradicts_its_column_is_dropped_and_kept_in_extra(importer, write_csv):
    rows = "a@x.example,25/12/2023\nb@x.example,26/12/2023\nc@x.example,12/25/2023\n"
    summary = importer.run(write_csv("Email,Last Raised At\n" + rows))
    assert warnings_of(importer, summary["upload_id"]) == {"invalid_date:last_raised_at": 1}
    assert importer.contacts("email")[2]["extra"] == {"Last Raised At": "12/25/2023"}


def test_dates_that_nothing_decides_are_told(importer, write_csv):
    summary = importer.run(write_csv("Email,Last Raised At\na@x.example,3/4/2023\n"))
    assert warnings_of(importer, summary["upload_id"]) == {"dates_undecided:last_raised_at": 1}
    assert importer.run(write_csv("Email,Last Raised At\nb@x.example,3/4/2023\n"), day_first=True)["warnings"] == 0


def test_every_value_that_is_dropped_is_kept_in_extra_under_a_key_of_its_own(importer, write_csv):
    summary = importer.run(
        write_csv(
            "First Name,Email,Annual Revenue,Annual Revenue,Mobile Phone\n"
            "A,a@x.example; ben@localhost,about five,7000,+1 415 555 0100; call Ben\n"
        )
    )
    (contact,) = importer.contacts()
    assert contact["extra"] == {
        "Annual Revenue": "about five",
        "Annual Revenue__2": "7000",
        "Email": "a@x.example; ben@localhost",
        "Mobile Phone": "+1 415 555 0100; call Ben",
    }
    assert (contact["email"], contact["mobile_phone"]) == ("a@x.example", "+14155550100")
    assert summary["warnings"] == 3


def test_each_column_is_accounted_for(importer, write_csv):
    upload_id = importer.register(
        write_csv(
            "First Name,Email,# Employees,Work email (private),Hobby,Blank\n"
            "Ada,a@x.example,12,a@y.example,chess,\n"
            ",b@x.example,many,b@y.example,,\n"
            "Cy,c@x.example,,c@y.example,go,\n"
        )
    )
    importer.load(upload_id)
    record = queries.find(importer.connection, upload_id)
    told = [
        (one.column, one.field, one.extra, one.values, one.told, one.looks_like)
        for one in columns_of(importer.connection, record)
    ]
    assert told == [
        ("First Name", "first_name", None, 2, {}, None),
        ("Email", "email", None, 3, {}, None),
        ("# Employees", "employees", None, 2, {"invalid_number": 1}, None),
        ("Work email (private)", None, "Work email (private)", 3, {}, None),
        ("Hobby", None, "Hobby", 2, {}, None),
        ("Blank", None, "Blank", 0, {}, None),
    ]


def test_a_column_that_looks_like_a_field_that_nothing_feeds_is_named(importer, write_csv):
    text = (
        "First Name,Email,Kontakt,Firma (alt),Termin\nAda,a@x.example,+49 30 901820,X,03/04/2024\n"
        "Ben,b@x.example,+49 30 901821,Y,04/05/2024\n"
    )
    upload_id = importer.register(write_csv(text))
    importer.load(upload_id)
    columns = columns_of(importer.connection, queries.find(importer.connection, upload_id))
    assert [column.looks_like for column in columns] == [None, None, "mobile_phone", "company", None]


def test_a_check_accounts_for_columns_as_the_import_does(importer, write_csv):
    path = write_csv(
        "Customer ID,First Name,Email,Hobby\n7,Ada,a@x.example,go\n7,Ben,b@x.example,\n7,Cy,c@x.example,\n"
    )
    found = []
    for mode in ("check", "import"):
        upload_id = importer.register(path)
        importer.load(upload_id, mode=mode)
        record = queries.find(importer.connection, upload_id)
        found.append((columns_of(importer.connection, record), record.warnings))
    assert found[0] == found[1]


REFUSALS = "Email,Do Not Call,Unsubscribed,Bounced\n"


def refusals(importer):
    row = importer.contacts()[0]
    return row["do_not_call"], row["unsubscribed"], row["email_bounced"]


def test_no_file_takes_back_what_a_contact_does_not_want(importer, write_csv):
    importer.run(write_csv(REFUSALS + "a@x.example,no,,no\n"), DAY)
    assert refusals(importer) == (False, None, False)
    importer.run(write_csv(REFUSALS + "a@x.example,yes,2025-05-01,hard bounce\n"), DAY + timedelta(days=2))
    assert refusals(importer) == (True, True, True)
    for number, options in enumerate(({}, {"on_existing": "fill_blanks"})):
        importer.run(write_csv(REFUSALS + "a@x.example,no,no,no\n"), DAY + timedelta(days=3 + number), **options)
        assert refusals(importer) == (True, True, True)
    late = importer.run(write_csv(REFUSALS + "a@x.example,no,no,no\n"), DAY + timedelta(days=1))
    assert refusals(importer) == (True, True, True)
    undo(importer.connection, late["upload_id"], "tester")
    assert refusals(importer) == (True, True, True)


def test_a_refusal_that_comes_late_counts_and_stays_when_its_import_is_undone(importer, write_csv):
    importer.run(write_csv(REFUSALS + "a@x.example,no,no,no\n"), DAY + timedelta(days=2))
    late = importer.run(write_csv(REFUSALS + "a@x.example,yes,yes,yes\n"), DAY)
    assert refusals(importer) == (True, True, True)
    undo(importer.connection, late["upload_id"], "tester")
    assert refusals(importer) == (True, True, True)


@pytest.mark.parametrize("rows", [1, 3])
def test_of_the_rows_of_one_file_a_refusal_counts_whatever_comes_after_it(importer, write_csv, monkeypatch, rows):
    monkeypatch.setattr(reader, "CHUNK_ROWS", rows)
    importer.run(write_csv(REFUSALS + "a@x.example,,,\na@x.example,yes,,yes\na@x.example,no,no,no\n"))
    assert refusals(importer) == (True, False, True)


def test_an_import_that_says_so_takes_refusals_back_and_the_history_says_it(importer, write_csv):
    importer.run(write_csv(REFUSALS + "a@x.example,yes,yes,yes\n"), DAY)
    summary = importer.run(
        write_csv(REFUSALS + "a@x.example,no,no,no\n"), DAY + timedelta(days=1), consent="may_opt_in"
    )
    assert refusals(importer) == (False, False, False)
    events = importer.connection.execute(
        "SELECT why FROM import_events WHERE upload_id = %s AND what = 'opened'", (summary["upload_id"],)
    ).fetchall()
    assert [event["why"] for event in events] == ["its rows may take back what contacts do not want"]
    undo(importer.connection, summary["upload_id"], "tester")
    assert refusals(importer) == (True, True, True)


def test_a_second_table_and_torn_rows_are_rejects_wherever_an_attempt_begins_anew(importer, write_csv, monkeypatch):
    monkeypatch.setattr(reader, "CHUNK_ROWS", 2)
    path = write_csv(
        "Email,First Name,Notes\na@x.example,Ada,x\nb@x.example,Ben,torn\nrest\nc@x.example,Cy,x\n"
        "Company,Website,Industry\nAcme,acme.example,media\nBeta,beta.example,media\nGama,gama.example,media\n"
    )
    whole = importer.run(path)
    codes = [tuple(row["codes"]) for row in importer.rejects(whole["upload_id"])]
    assert codes == [("torn_row",), ("row_piece",), ("torn_row",), *[("other_table",)] * 4]

    class Died(Exception):
        pass

    def die(progress, chunks):
        raise Died

    again = importer.register(path)
    for _ in range(6):
        try:
            importer.load(again, die)
        except Died:
            continue
        break
    assert [tuple(row["codes"]) for row in importer.rejects(again)] == codes


def test_rejects_of_every_new_code_come_back_fixed(importer, write_csv, tmp_path):
    upload_id = importer.register(
        write_csv(
            'Email,First Name,Notes\na@x.example,Ada,x\nb@x.example,"Ben" B,x\nc@x.example,Cy,x\n'
            "d@x.example,Di,cut\noff\n"
            "e@x.example,Ed,x\nCompany,Website,Industry\nAcme,acme.example,x\n"
        )
    )
    importer.load(upload_id)
    from contact_pipeline.importing.rejects_export import rejects_csv

    record = queries.find(importer.connection, upload_id)
    text = b"".join(rejects_csv(importer.connection, record)).decode("utf-8-sig")
    lines = text.splitlines()
    assert '"b@x.example,""Ben"" B,x"' in lines[1].replace('""""', '""')
    path = tmp_path / "fixed.csv"
    path.write_text(text.replace('"","","","2",', '"b@x.example","Ben B","x","2",'), encoding="utf-8")
    summary = importer.run(path)
    assert summary["inserted"] == 3
    assert {row["email"] for row in importer.contacts()} == {f"{letter}@x.example" for letter in "abcde"}


def test_a_no_in_any_column_that_means_it_counts(importer, write_csv):
    importer.run(
        write_csv(
            "Email,Unsubscribed,Opt Out Date,Do Not Contact\na@x.example,false,2025-05-01,\nb@x.example,false,,yes\n"
        )
    )
    found = [(row["unsubscribed"], row["do_not_call"]) for row in importer.contacts("email")]
    assert found == [(True, None), (True, True)]


def test_the_same_file_with_may_opt_in_is_not_unchanged(importer, write_csv):
    path = write_csv("Title," + REFUSALS + "CEO,a@x.example,no,no,no\n")
    importer.run(write_csv(REFUSALS + "a@x.example,yes,yes,yes\n"), DAY)
    importer.run(path, DAY + timedelta(days=1))
    assert refusals(importer) == (True, True, True)
    importer.run(path, DAY + timedelta(days=2), consent="may_opt_in")
    assert refusals(importer) == (False, False, False)


def test_rejects_of_a_file_whose_ids_told_nobody_apart_come_back_without_them(importer, write_csv, tmp_path):
    from contact_pipeline.importing.rejects_export import rejects_csv

    upload_id = importer.register(
        write_csv(
            "Customer ID,First Name,Last Name,Email\n1,A,Sample,a@x.example\n1,B,Muster,b@x.example\n"
            "1,C,Example,c@x.example\n2,D,Else,wrong\n2,E,Other,wrong\n"
        )
    )
    importer.load(upload_id)
    record = queries.find(importer.connection, upload_id)
    text = b"".join(rejects_csv(importer.connection, record)).decode("utf-8-sig")
    path = tmp_path / "fixed.csv"
    path.write_text(text.replace('"Else","wrong"', '"Else","d@x.example"').replace('"wrong"', '"e@x.example"'))
    assert importer.run(path)["inserted"] == 2
    assert len(importer.contacts()) == 5


def test_a_value_that_came_from_another_cell_and_is_dropped_is_kept_as_it_stood_there(importer, write_csv):
    importer.run(write_csv("Email,Mobile Phone,Other Phone\na@x.example,+1 415 555 0100; 4.91E+11,\n"))
    (contact,) = importer.contacts()
    assert contact["other_phone"] is None
    assert contact["extra"] == {"Mobile Phone": "+1 415 555 0100; 4.91E+11"}


def test_a_file_without_rows_is_imported_with_a_warning(importer, write_csv):
    done = importer.run(write_csv("Email,First Name\n"))
    assert (done["state"], done["rows"], done["warnings"]) == ("succeeded", 0, 1)
    assert queries.find(importer.connection, done["upload_id"]).warnings == {"no_rows": 1}

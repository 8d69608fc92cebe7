"""Looking at an upload before it is imported, changing how it is read, and deciding."""

from __future__ import annotations

import pytest

from contact_pipeline.database import launch_queue, queries, registration
from contact_pipeline.database.records import ImportState
from contact_pipeline.importing import first_rows
from contact_pipeline_tests.uploading import problem

UNKNOWN_TITLES = (
    "Kontaktperson;Mailanschrift;Betrieb;Rufnr.;Bemerkung\n"
    + "".join(
        f"{name};{name.split()[0].lower()}{n}@firma{n}.de;{firm};+49 30 9018{n:04};{'' if n % 2 else 'ruft zurück'}\n"
        for n, (name, firm) in enumerate(
            [
                ("Anna Schmidt", "Schmidt GmbH"), ("Peter Müller", "Müller & Söhne KG"), ("Ulrike Vogt", "Vogt AG"),
                ("Jonas Weiß", "Weiß"), ("Katharina Öz", "Öz GmbH"), ("Stefan Lang", "Lang"),
            ]
            * 5
        )
    )
)  # fmt: skip


@pytest.fixture
def ada(token):
    return token("tester")


@pytest.fixture
def in_review(importer, write_csv):
    """Puts a file into the bucket as an upload that is to be reviewed."""

    def put(text, **options):
        upload_id = importer.register(write_csv(text))
        importer.connection.execute(
            "UPDATE imports SET state = 'in_review', options = '{\"review\": true}' WHERE upload_id = %s", (upload_id,)
        )
        importer.connection.execute("DELETE FROM launches WHERE upload_id = %s", (upload_id,))
        return upload_id

    return put


def look(service, headers, upload_id, **options):
    answer = service.post(f"/api/imports/{upload_id}/first-look", json=options, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def decide(service, headers, upload_id, what, **options):
    answer = service.post(f"/api/imports/{upload_id}/{what}", json=options, headers=headers)
    assert (answer.status_code, answer.json().get("state")) == (200, "queued"), answer.text


def test_an_upload_to_be_reviewed_waits_for_a_person_and_for_nothing_else(importer, write_csv, connection):
    upload_id = importer.register(write_csv("Email\na@x.example\n"))
    record = queries.find(connection, upload_id)
    told = registration.Registration(
        "f" * 32, record.bucket, "uploads/other.csv", "e", 1, record.uploaded_at, "other.csv", "tester",
        options={"review": True},
    )  # fmt: skip
    assert registration.register(connection, told)
    found = queries.find(connection, told.upload_id)
    assert (found.state, found.finished_at) == (ImportState.IN_REVIEW, None)
    assert told.upload_id not in launch_queue.without_launch(connection)
    claim = importer.claim(told.upload_id)
    assert claim.record.state == "loading", "a person's launch of its partition imports it"


def test_unknown_titles_are_proposed_by_what_the_values_look_like_and_load_right(service, ada, in_review, importer):
    upload_id = in_review(UNKNOWN_TITLES)
    seen = look(service, ada, upload_id)
    assert {one["column"]: (one["field"], one["mappedBy"]) for one in seen["columns"]} == {
        "Kontaktperson": ("full_name", "proposal"),
        "Mailanschrift": ("email", "proposal"),
        "Betrieb": ("company", "proposal"),
        "Rufnr.": ("mobile_phone", "proposal"),
        "Bemerkung": (None, "nothing"),
    }
    assert (seen["problem"], seen["reading"]["delimiter"], seen["reading"]["firstDataLine"]) == (None, ";", 2)
    assert seen["rows"][0]["cells"] == [
        "Anna Schmidt", "anna0@firma0.de", "Schmidt GmbH", "+49309018 0000".replace(" ", ""), "ruft zurück",
    ]  # fmt: skip
    assert seen["columns"][4]["samples"] == ["ruft zurück"]
    assert seen["columns"][4]["filled"] == 0.5
    proposed = {"mapping": seen["proposed"]["mapping"], "headerRow": 1}
    decide(service, ada, upload_id, "check", **proposed)
    checked = importer.load(upload_id)
    assert (checked["state"], checked["inserted"], importer.contacts()) == ("checked", 30, [])
    decide(service, ada, upload_id, "import", **proposed)
    done = importer.load(upload_id)
    assert {name: done[name] for name in ("state", "inserted", "rejected")} == {
        "state": "succeeded", "inserted": checked["inserted"], "rejected": checked["rejected"],
    }  # fmt: skip
    first = importer.contacts()[0]
    assert (first["first_name"], first["last_name"], first["company"]) == ("Anna", "Schmidt", "Schmidt GmbH")
    assert first["extra"] == {"Bemerkung": "ruft zurück"}


def test_cells_that_would_not_load_are_marked(service, ada, in_review):
    upload_id = in_review(
        "First Name,Email,# Employees\nAda,a@x.example,12\nBen,no address,3\nCy,c@x.example,many\nDee,d@x.example\n"
        "<img src=x onerror=alert(1)>,e@x.example,1\n"
    )
    rows = look(service, ada, upload_id)["rows"]
    marks = {row["row"]: (row["rejected"], [(mark["column"], mark["code"]) for mark in row["marks"]]) for row in rows}
    assert marks == {
        1: (False, []),
        2: (True, [(1, "invalid_email")]),
        3: (False, [(2, "invalid_number")]),
        4: (True, [(None, "wrong_number_of_columns")]),
        5: (False, []),
    }
    assert rows[2]["cells"] == ["Cy", "c@x.example", None]
    assert rows[1]["cells"] == ["Ben", "no address", "3"]
    assert all(mark["message"] for row in rows for mark in row["marks"])


def test_how_a_file_is_read_can_be_changed(service, ada, in_review):
    upload_id = in_review("First Name,Email,Hired\nAda,a@x.example,3/4/2024\n")
    assert look(service, ada, upload_id)["reading"]["datesUndecided"] == []
    seen = look(service, ada, upload_id, mapping={"Hired": "last_raised_at"})
    assert seen["rows"][0]["cells"][2] == "2024-03-04"
    seen = look(service, ada, upload_id, mapping={"Hired": "last_raised_at"}, dayFirst=True)
    assert seen["rows"][0]["cells"][2] == "2024-04-03"
    assert seen["columns"][2]["mappedBy"] == "person"
    wrong = service.post(
        f"/api/imports/{upload_id}/first-look", json={"mapping": {"Nothing": "email"}}, headers=ada
    ).json()
    assert wrong["problem"]["code"] == "unknown_column"


def test_nothing_is_remembered_until_it_is_asked_for(service, ada, in_review, connection, importer):
    upload_id = in_review(UNKNOWN_TITLES)
    mapping = look(service, ada, upload_id, headerRow=1)["proposed"]["mapping"]
    decide(service, ada, upload_id, "check", mapping=mapping, headerRow=1, saveMapping=False)
    importer.load(upload_id)
    decide(service, ada, upload_id, "import", mapping=mapping, headerRow=1, saveMapping=False)
    importer.load(upload_id)
    assert connection.execute("SELECT count(*) AS n FROM mappings").fetchone()["n"] == 0
    other = in_review(UNKNOWN_TITLES)
    decide(service, ada, other, "import", mapping=mapping, headerRow=1)
    importer.load(other)
    third = in_review(UNKNOWN_TITLES)
    seen = look(service, ada, third)
    assert {one["mappedBy"] for one in seen["columns"] if one["field"]} == {"person"}


def test_a_further_decision_gives_up_the_dry_run_that_is_under_way(service, ada, in_review, importer, connection):
    upload_id = in_review("First Name,Email,Firm Name X\nAda,a@x.example,Acme\n")
    decide(service, ada, upload_id, "check")
    claim = importer.claim(upload_id)
    decide(service, ada, upload_id, "check", mapping={"Firm Name X": "company"})
    from contact_pipeline.errors import ClaimLost
    from contact_pipeline.importing import planning

    with pytest.raises(ClaimLost):
        planning.open_import(connection, importer.store, claim)
    importer.load(upload_id)
    decide(service, ada, upload_id, "import", mapping={"Firm Name X": "company"})
    importer.load(upload_id)
    assert importer.contacts()[0]["company"] == "Acme"
    answer = service.post(f"/api/imports/{upload_id}/import", json={}, headers=ada)
    assert problem(answer) == (409, "not_importable_again")


def test_rows_are_shown_to_the_owner_only(service, token, in_review):
    upload_id = in_review("Email\nada@canary.example\n")
    for headers, expected in (
        (token("eve"), (404, "unknown_upload")),
        (token("boss", "operator"), (403, "owner_only")),
    ):
        answer = service.post(f"/api/imports/{upload_id}/first-look", json={}, headers=headers)
        assert problem(answer) == expected
        assert "canary" not in answer.text


@pytest.mark.parametrize(
    ("text", "code"), [("%PDF-1.7\n", "not_a_table"), ("Email,First Name\n", "no_rows"), ("", "empty_file")]
)
def test_what_is_no_table_is_said_in_a_sentence(service, ada, in_review, text, code):
    answer = service.post(f"/api/imports/{in_review(text)}/first-look", json={}, headers=ada)
    assert problem(answer) == (409, code)


def test_a_review_can_be_cancelled(service, ada, in_review):
    upload_id = in_review("Email\na@x.example\n")
    assert service.post(f"/api/imports/{upload_id}/cancel", headers=ada).json()["state"] == "cancelled"


def test_fields_are_listed_for_people(service, ada):
    found = {one["name"]: one["title"] for one in service.get("/api/fields/", headers=ada).json()["fields"]}
    assert (found["company"], found["annual_revenue"], found["full_name"]) == ("Company", "Annual Revenue", "Full Name")


def test_no_more_than_the_first_rows_are_shown(service, ada, in_review):
    rows = "".join(f"n{n}@x.example,Ada\n" for n in range(300))
    seen = look(service, ada, in_review("Email,First Name\n" + rows))
    assert (len(seen["rows"]), seen["rows"][-1]["row"], seen["lookedAt"]) == (first_rows.ROWS, 100, 300)


def test_a_file_of_nothing_but_contacts_gives_no_value_away(service, ada, token, in_review):
    """Its first line is a contact: taken for titles, it would be in the ledger, in Dagster, before operators."""
    upload_id = in_review("Anna,Muster,anna@canary.example\nBob,Muster,bob@canary.example\n")
    seen = look(service, ada, upload_id)
    assert (seen["problem"]["code"], seen["proposed"]) == ("no_header", {"mapping": None, "headerRow": 1})
    assert seen["rows"] == []
    shown = service.get(f"/api/imports/{upload_id}", headers=token("boss", "operator"))
    assert "canary" not in shown.text


def test_what_is_not_chosen_stays_as_it_was_chosen_before(service, ada, in_review, importer, connection):
    upload_id = in_review("First Name,Email\nAda,a@x.example\n")
    connection.execute(
        """UPDATE imports SET options = '{"review": true, "on_existing": "skip", "source": "crm"}'
           WHERE upload_id = %s""",
        (upload_id,),
    )
    assert look(service, ada, upload_id)["source"] == "crm"
    decide(service, ada, upload_id, "import", strictness="strict")
    assert queries.find(connection, upload_id).options == {
        "on_existing": "skip", "source": "crm", "strictness": "strict", "mode": "import",
    }  # fmt: skip
    assert service.get(f"/api/imports/{upload_id}", headers=ada).json()["options"]["onExisting"] == "skip"


def test_an_import_of_which_a_part_is_loaded_is_not_decided_anew(service, ada, importer, tmp_path, connection):
    """The rest would be loaded by another reading, or its chunks be replayed by other options."""
    path = tmp_path / "long.csv"
    path.write_text("Email,First Name\n" + "".join(f"n{n}@x.example,Ada\n" for n in range(10_500)))
    upload_id = importer.register(path)

    def stop(_progress, _chunks):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        importer.load(upload_id, stop)
    for state in ("failed", "cancelled"):
        connection.execute("UPDATE imports SET state = %s WHERE upload_id = %s", (state, upload_id))
        before = queries.find(connection, upload_id)
        for what in ("check", "import"):
            answer = service.post(f"/api/imports/{upload_id}/{what}", json={"onExisting": "skip"}, headers=ada)
            assert problem(answer) == (409, "not_importable_again")
        assert queries.find(connection, upload_id) == before


def test_a_review_can_be_cancelled_when_everything_is_counted(service, ada, in_review, importer):
    upload_id = in_review("Email,First Name\na@x.example,Ada\n")
    decide(service, ada, upload_id, "check")
    assert importer.load(upload_id)["state"] == "checked"
    assert service.post(f"/api/imports/{upload_id}/cancel", headers=ada).json()["state"] == "cancelled"
    answer = service.post(f"/api/imports/{upload_id}/check", json={}, headers=ada)
    assert problem(answer) == (409, "not_importable_again"), "a count that comes late does not revive it"


def test_two_columns_that_nobody_knows_are_mapped_one_after_the_other(service, ada, in_review):
    upload_id = in_review("Wer;Wo;Was\nqx;qy;qz\nqa;qb;qc\n")
    mapping = {}
    for title, field in (("Wer", "full_name"), ("Wo", "company")):
        mapping[title] = field
        seen = look(service, ada, upload_id, headerRow=1, mapping=mapping)
        assert {one["column"]: one["field"] for one in seen["columns"]}[title] == field
    assert seen["problem"] is None


def test_a_column_without_a_title_is_proposed_for_nothing(service, ada, in_review):
    upload_id = in_review("Foo,,Bar\n" + "".join(f"x,n{n}@x.example,y\n" for n in range(5)))
    seen = look(service, ada, upload_id, headerRow=1)
    assert "" not in (seen["proposed"]["mapping"] or {})


def test_a_sample_that_ends_within_a_row_does_not_reject_it(service, ada, in_review):
    rows = "".join(f'n{n}@x.example,"{"x" * 30_000}"\n' for n in range(60))
    assert [
        row["row"] for row in look(service, ada, in_review("Email,Notes\n" + rows))["rows"] if row["rejected"]
    ] == []


def test_an_encoding_that_the_file_is_not_in_is_said(service, ada, in_review):
    upload_id = in_review("First Name,Email\nAda,a@x.example\n")
    answer = service.post(f"/api/imports/{upload_id}/first-look", json={"encoding": "utf-32"}, headers=ada)
    assert answer.status_code == 409, answer.text


def test_why_a_dry_run_stopped_is_told(service, ada, in_review, importer):
    upload_id = in_review("Email,First Name\n" + "no address,Ada\n" * 5)
    decide(service, ada, upload_id, "check", maxRejects=2)
    importer.load(upload_id)
    found = service.get(f"/api/imports/{upload_id}", headers=ada).json()
    assert "at most 2 are allowed" in found["stopped"]
    assert found["rejectsByColumn"] == [
        {"code": "invalid_email", "column": "Email", "rows": 5, "message": "not an e-mail address"}
    ]


def test_whoever_launches_it_in_dagster_after_the_count_has_decided(service, ada, in_review, importer):
    upload_id = in_review("Email,First Name\na@x.example,Ada\n")
    decide(service, ada, upload_id, "check")
    assert importer.load(upload_id)["state"] == "checked"
    assert importer.load(upload_id)["state"] == "succeeded"
    assert len(importer.contacts()) == 1

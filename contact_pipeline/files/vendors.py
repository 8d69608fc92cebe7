"""Which system wrote a file, told by its titles, and what its titles mean otherwise than elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from contact_pipeline.contacts.name_titles import FAMILY_NAME_ONLY, GIVEN_NAME_ONLY

UNKNOWN_SOURCE: Final = "other"

_CONNECTED_ON: Final = frozenset(
    {"connected on", "verbunden am", "connecté le", "conectado el", "conectado em", "conectado a", "connesso il",
     "collegato il", "verbonden op", "gekoppeld op", "połączono", "data połączenia"}
)  # fmt: skip
_FAMILY_NAMES: Final = frozenset(
    {"last name", "lastname", "surname", "nachname", "familienname", "zuname", "nom de famille", "nom d'usage",
     "achternaam", "familienaam", "geslachtsnaam", "nazwisko"}
)  # fmt: skip
_GIVEN_NAMES: Final = frozenset(
    {"first name", "firstname", "nombre de pila", "primer nombre", "nombres", "primeiro nome", "nome próprio"}
)

# The first set of titles that a file has as a whole says where it comes from. Contact ids of different systems must
# never share a key, so a title that several systems use (`contact id`) needs others beside it.
_SIGNATURES: Final[tuple[tuple[str, frozenset[str]], ...]] = tuple(
    (source, frozenset(titles.split(", ")))
    for source, titles in (
        ("apollo", "apollo contact id"),
        ("apollo", "company name for emails"),
        ("zoominfo", "zoominfo contact id"),
        ("hubspot", "record id contact"),
        ("hubspot", "record id"),
        ("phantombuster", "vmid"),
        ("phantombuster", "profileurl, fullname"),
        ("linkedin", "connected on"),
        ("seamless", "contact li profile url"),
        ("google", "e mail 1 value"),
        ("outlook", "e mail address, business phone"),
        ("lusha", "company main industry"),
        ("lusha", "contact li"),
        ("pipedrive", "person name, organization name"),
        ("salesforce", "id, accountid"),
        ("salesforce", "id, ownerid"),
        ("salesforce", "id, leadsource"),
        ("salesforce", "id, mailing street"),
        ("salesforce", "id, mobilephone"),
        ("salesforce", "lead id"),
        ("salesforce", "contact id, account name"),
        ("salesforce", "contact id, lead source"),
        ("salesforce", "company account"),
        ("salesforce", "mailing state province"),
    )
)


def recognise_source(titles: Sequence[str]) -> str:
    """The system that a file comes from: `apollo`, `hubspot`, …; `other` if no system is known for its titles."""
    present = set(titles)
    return next((source for source, needed in _SIGNATURES if needed <= present), UNKNOWN_SOURCE)


def retitle(titles: Sequence[str], known: Collection[str]) -> list[str]:
    """Titles by what they mean in this file.

    In HubSpot's export of contacts with their companies, what stands behind
    `Record ID - Company` is the company's, under the same titles. LinkedIn's `URL`
    is the person's profile. `Name` beside `Vorname` is the family name, `Nome` beside
    `Cognome` the first; of Outlook's two `Titre` the second is the job.
    """
    renamed = list(titles)
    _retitle_names(renamed)
    if _CONNECTED_ON & {*renamed} and "url" in renamed:
        renamed[renamed.index("url")] = "linkedin url"
    if "record id company" in renamed:
        for at in range(renamed.index("record id company") + 1, len(renamed)):
            if f"company {renamed[at]}" in known:
                renamed[at] = f"company {renamed[at]}"
    return renamed


def _retitle_names(titles: list[str]) -> None:
    present = set(titles)
    if present & GIVEN_NAME_ONLY and not present & _FAMILY_NAMES:
        _rename(titles, ("name", "nom", "naam"), "last name")
    if present & FAMILY_NAME_ONLY and not present & _GIVEN_NAMES:
        _rename(titles, ("nombre", "nome"), "first name")
    if "sobrenome" in present and "apelido" in present:
        # In Brazil it is a nickname, in Portugal the family name.
        _rename(titles, ("apelido",), "nickname")
    # Words that are English too mean this only beside others of the language.
    if present & {"prénom", "prenom"}:
        _rename(titles, ("service",), "department")
        _rename(titles, ("standard",), "company phone")
        _rename(titles, ("site",), "website")
    if "cognome" in present:
        _rename(titles, ("via",), "street")
    if titles.count("titre") > 1:
        titles[titles.index("titre")] = "salutation"


def _rename(titles: list[str], sought: Sequence[str], new: str) -> None:
    for title in sought:
        if title in titles:
            titles[titles.index(title)] = new
            return

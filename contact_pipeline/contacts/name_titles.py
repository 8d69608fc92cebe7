"""Titles of names in seven languages, and what they mean beside each other."""

from __future__ import annotations

from typing import Final

from contact_pipeline.contacts.titles import split_titles

LOCAL_FULL_NAMES: Final = split_titles(
    """Vollständiger Name | Ganzer Name | Vor- und Nachname | Vorname Nachname | Vorname und Nachname | Anzeigename
    | Ansprechpartner | Kontaktperson | Kontaktname | Nom complet | Nom et prénom | Prénom et nom | Nom prénom
    | Prénom nom | Nom à afficher | Interlocuteur | Personne de contact | Nombre completo | Nombre y apellidos
    | Nombre y apellido | Nombre mostrado | Nombre del contacto | Persona de contacto | Nome completo
    | Nome e sobrenome | Nome de exibição | Nome do contato | Nome do contacto | Pessoa de contato
    | Pessoa de contacto | Nome e cognome | Cognome e nome | Nome visualizzato | Nominativo | Referente
        | Volledige naam
    | Voor- en achternaam | Weergavenaam | Contactpersoon | Naam contactpersoon | Imię i nazwisko | Nazwisko i imię
    | Apellidos y nombre | Apellidos, Nombre | Nachname, Vorname | Nachname Vorname
    | Wyświetlana nazwa | Osoba kontaktowa | Osoba do kontaktu | Nom | Nombre | Nome | Naam"""
)

FAMILY_NAME_FIRST: Final = frozenset(
    {"nom et prénom", "nom et prenom", "nom prénom", "nom prenom", "cognome e nome", "nazwisko i imię",
     "nazwisko i imie", "apellidos y nombre", "apellidos nombre", "last name first name", "surname first name",
     "nachname vorname"}
)  # fmt: skip
"""Titles of whole names that begin with the family name."""

GIVEN_NAME_ONLY: Final = frozenset(
    {"vorname", "vornamen", "rufname", "prénom", "prenom", "prénoms", "prenoms", "voornaam", "voornamen", "roepnaam",
     "imię", "imie", "prénom usuel", "vorname n", "voorletters"}
)  # fmt: skip
"""Titles beside which `Name`, `Nom` or `Naam` is the family name."""

FAMILY_NAME_ONLY: Final = frozenset(
    {
        "apellidos",
        "apellido",
        "apellido 1",
        "primer apellido",
        "apellido paterno",
        "sobrenome",
        "apelido",
        "apelidos",
        "cognome",
    }
)
"""Titles beside which `Nombre` or `Nome` is the first name."""

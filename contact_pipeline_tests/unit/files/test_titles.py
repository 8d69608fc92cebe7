"""Made-up exports of each vendor and language, mapped field by field."""

import pytest

from contact_pipeline.contacts.fields import FIELD_BY_NAME
from contact_pipeline.contacts.titles import LOCAL_TITLES
from contact_pipeline.files.header_mapping import map_header

EXPORTS = {
    "outlook, german": {
        "Anrede": None, "Vorname": "first_name", "Weitere Vornamen": None, "Nachname": "last_name", "Firma": "company",
        "Abteilung": "departments", "Position": "title", "Straße geschäftlich": "company_address",
        "Ort geschäftlich": "company_city", "Region geschäftlich": "company_state", "Postleitzahl geschäftlich": None,
        "Land/Region geschäftlich": "company_country", "Straße privat": "address", "Ort privat": "city",
        "Bundesland/Kanton privat": "state", "Land/Region privat": "country", "Telefon Firma": "company_phone",
        "Telefon geschäftlich": "work_direct_phone", "Telefon geschäftlich 2": "other_phone",
        "Telefon privat": "home_phone", "Mobiltelefon": "mobile_phone", "E-Mail-Adresse": "email",
        "E-Mail 2: Adresse": "secondary_email", "E-Mail 3: Adresse": "tertiary_email", "Geburtstag": None,
        "Kategorien": "lists", "Webseite": "website", "Notizen": None,
    },
    "outlook, french": {
        "Titre": None, "Prénom": "first_name", "Nom": "last_name", "Société": "company", "Service": "departments",
        "Titre ": "title", "Rue (bureau)": "company_address", "Ville (bureau)": "company_city",
        "Dép/Région (bureau)": "company_state", "Pays/Région (bureau)": "company_country",
        "Rue (domicile)": "address", "Ville (domicile)": "city", "Téléphone société": "company_phone",
        "Téléphone (bureau)": "work_direct_phone", "Téléphone (domicile)": "home_phone",
        "Tél. mobile": "mobile_phone", "Adresse de messagerie": "email",
        "Adresse de messagerie 2": "secondary_email", "Catégories": "lists", "Page Web": "website",
    },
    "outlook, spanish": {
        "Title": None, "Nombre": "first_name", "Apellidos": "last_name", "Organización": "company",
        "Puesto": "title", "Calle del trabajo": "company_address", "Ciudad de trabajo": "company_city",
        "Teléfono del trabajo": "work_direct_phone", "Particular": "home_phone", "Mobile Phone": "mobile_phone",
        "E-mail Address": "email", "Categorías": "lists", "Página web": "website",
    },
    "outlook, portuguese": {
        "Primeiro nome": "first_name", "Apelido": "last_name", "Empresa": "company", "Cargo": "title",
        "Telefone da empresa": "work_direct_phone", "Telefone da residência": "home_phone",
        "Telemóvel": "mobile_phone", "Endereço de correio electrónico": "email", "Categorias": "lists",
        "Rua da empresa": "company_address", "Localidade da empresa": "company_city",
    },
    "outlook, italian": {
        "Titolo": None, "Nome": "first_name", "Cognome": "last_name", "Società": "company", "Reparto": "departments",
        "Posizione": "title", "Via (uff.)": "company_address", "Città (uff.)": "company_city",
        "Paese (uff.)": "company_country", "Abitazione": "home_phone", "Cellulare": "mobile_phone",
        "Indirizzo posta elettronica": "email", "Categorie": "lists", "Pagina Web": "website",
    },
    "outlook, dutch": {
        "Titel": None, "Voornaam": "first_name", "Achternaam": "last_name", "Bedrijf": "company",
        "Afdeling": "departments", "Functie": "title", "Werkadres, straat": "company_address",
        "Telefoon op werk": "work_direct_phone", "Telefoon thuis": "home_phone", "Mobiele telefoon": "mobile_phone",
        "E-mailadres": "email", "E-mailadres 2": "secondary_email", "Categorieën": "lists", "Webpagina": "website",
    },
    "outlook, polish": {
        "Tytuł": None, "Imię": "first_name", "Nazwisko": "last_name", "Firma": "company", "Dział": "departments",
        "Stanowisko": "title", "Adres służbowy - ulica": "company_address", "Telefon służbowy": "work_direct_phone",
        "Telefon domowy": "home_phone", "Telefon komórkowy": "mobile_phone", "Adres e-mail": "email",
        "Kategorie": "lists", "Strona sieci Web": "website",
    },
    "thunderbird, german": {
        "Vorname": "first_name", "Nachname": "last_name", "Anzeigename": None, "Spitzname": None,
        "Primäre E-Mail-Adresse": "email", "Sekundäre E-Mail-Adresse": "secondary_email",
        "Tel. dienstlich": "work_direct_phone", "Tel. privat": "home_phone", "Mobil-Tel.-Nr.": "mobile_phone",
        "Privat: Adresse": "address", "Privat: Ort": "city", "Dienstlich: Adresse": "company_address",
        "Dienstlich: Ort": "company_city", "Arbeitstitel": "title", "Abteilung": "departments",
        "Organisation": "company", "Webseite 1": "website",
    },
    "linkedin, spanish": {
        "Nombre": "first_name", "Apellidos": "last_name", "URL": "person_linkedin_url",
        "Dirección de correo electrónico": "email", "Empresa": "company", "Cargo": "title", "Conectado el": None,
    },
    "google contacts": {
        "Name": None, "Given Name": "first_name", "Family Name": "last_name", "Group Membership": "lists",
        "E-mail 1 - Value": "email", "E-mail 2 - Value": "secondary_email", "Phone 1 - Value": "work_direct_phone",
        "Organization 1 - Name": "company", "Organization 1 - Title": "title",
    },
    "a list by hand, german": {
        "Name": "last_name", "Vorname": "first_name", "Firma": "company", "E-Mail": "email",
        "Telefon": "work_direct_phone", "Handy": "mobile_phone", "Straße": "address", "PLZ": None, "Ort": "city",
        "Land": "country",
    },
    "a list by hand, french": {
        "Nom": "last_name", "Prénom": "first_name", "Entreprise": "company", "Fonction": "title", "Courriel": "email",
        "Portable": "mobile_phone", "Ville": "city", "Pays": "country", "Désabonné": "unsubscribed",
    },
    "a list by hand, dutch": {
        "Naam": "last_name", "Voornaam": "first_name", "Bedrijfsnaam": "company", "E-mail": "email",
        "Mobiel": "mobile_phone", "Plaats": "city", "Niet bellen": "do_not_call", "Uitgeschreven": "unsubscribed",
    },
    "a list by hand, brazilian": {
        "Nome": "first_name", "Sobrenome": "last_name", "Apelido": None, "Empresa": "company", "Cargo": "title",
        "E-mail": "email", "Celular": "mobile_phone", "Cidade": "city", "Estado": "state", "País": "country",
    },
    "one column of names, german": {"Name": "full_name", "Firma": "company", "E-Mail": "email"},
    "one column of names, spanish": {"Nombre completo": "full_name", "Correo electrónico": "email"},
    "hubspot": {
        "Record ID": "contact_id", "First Name": "first_name", "Last Name": "last_name", "Email": "email",
        "Unsubscribed from all email": "unsubscribed", "Email hard bounced": "email_bounced", "Lead Status": "stage",
    },
    "salesforce": {
        "Contact ID": "contact_id", "First Name": "first_name", "Last Name": "last_name", "Email": "email",
        "Account Name": "company", "Email Opt Out": "unsubscribed", "Do Not Call": "do_not_call",
    },
    "without accents": {
        "Prenom": "first_name", "Nom de famille": "last_name", "Societe": "company", "Telephone": "work_direct_phone",
        "Email": "email",
    },
}  # fmt: skip


@pytest.mark.parametrize("export", EXPORTS)
def test_an_export_is_mapped_field_by_field(export):
    titles = EXPORTS[export]
    assert dict(zip(titles, map_header([*titles]).fields, strict=True)) == titles


def test_every_field_that_has_titles_in_other_languages_is_one():
    assert set(LOCAL_TITLES) <= set(FIELD_BY_NAME)


@pytest.mark.parametrize("name", sorted(LOCAL_TITLES))
def test_each_title_feeds_its_field_where_it_stands_alone(name):
    beside = ["Email", "First Name", "Last Name"] if name not in ("email", "first_name", "last_name") else ["LinkedIn"]
    for title in LOCAL_TITLES[name]:
        fields = map_header([*beside, title]).fields
        assert fields[-1] is not None, title

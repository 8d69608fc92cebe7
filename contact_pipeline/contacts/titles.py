"""Column titles in German, French, Spanish, Portuguese, Italian, Dutch and Polish.

Outlook's are those of Microsoft's own table of CSV titles, Thunderbird's those of its translations, the CRMs' those of
SugarCRM's, Vtiger's and Dolibarr's language files; the others are what lists made by hand write. LinkedIn and Google
Contacts write English in every language.
"""

from __future__ import annotations

import unicodedata
from typing import Final


def split_titles(text: str) -> tuple[str, ...]:
    """Titles, one behind the other, with the spelling that has no accents behind each."""
    found: dict[str, None] = {}
    for title in (part.strip() for part in text.replace("\n", " ").split("|")):
        found[title] = None
        found[_plain(title)] = None
    return tuple(found)


def _plain(title: str) -> str:
    spelled = title.replace("ß", "ss").replace("ł", "l").replace("Ł", "L")
    return "".join(letter for letter in unicodedata.normalize("NFKD", spelled) if not unicodedata.combining(letter))


LOCAL_TITLES: Final[dict[str, tuple[str, ...]]] = {
    "first_name": split_titles(
        """Vorname | Vornamen | Rufname | Prénom | Prénoms | Prénom contact | Prénom du contact | Nombre de pila
        | Primer nombre | Nombres | Primeiro nome | Nome próprio | Nome di battesimo | Voornaam | Voornamen | Roepnaam
        | Imię | Imiona"""
    ),
    "last_name": split_titles(
        """Nachname | Familienname | Zuname | Apellido 1 | Surname 1 | Nom de famille | Nom d'usage | Apellidos
        | Apellido | Primer apellido
        | Apellido paterno | Sobrenome | Último nome | Apelido | Apelidos | Cognome | Achternaam | Familienaam
        | Geslachtsnaam | Nazwisko"""
    ),
    "title": split_titles(
        """Position | Jobtitel | Job-Titel | Stellenbezeichnung | Berufsbezeichnung | Arbeitstitel | Funktion
        | Tätigkeit | Rolle | Position/Funktion | Intitulé du poste | Intitulé de poste | Poste | Fonction
        | Poste/Fonction | Profession | Titre | Puesto | Puesto de trabajo | Cargo | Función | Ocupación | Função
        | Profissão | Posizione | Posizione lavorativa | Ruolo | Qualifica | Mansione | Funzione | Functie
        | Functietitel | Functienaam | Werkfunctie | Functieomschrijving | Stanowisko | Stanowisko pracy | Funkcja"""
    ),
    "departments": split_titles(
        """Abteilung | Abteilungen | Bereich | Fachbereich | Service/Division | Departamento
        | Reparto | Dipartimento | Divisione | Afdeling | Dział | Departament | Wydział"""
    ),
    "company": split_titles(
        """Firma | Unternehmen | Firmenname | Unternehmensname | Name des Unternehmens | Organisation | Firma 1
        | Firma1 | Arbeitgeber | Société | Entreprise | Raison sociale | Nom du compte | Nom compte
        | Nom de l'entreprise | Nom de la société | Organisme | Employeur | Empresa | Compañía | Organización
        | Nombre de la empresa | Nombre de cuenta | Razón social | Nombre comercial | Organização | Nome da empresa
        | Nome da conta | Nome fantasia | Razão social | Entidade | Azienda | Società | Nome azienda | Nome società
        | Ragione sociale | Organizzazione | Ditta | Denominazione | Bedrijf | Bedrijfsnaam | Organisatie
        | Organisatienaam | Accountnaam | Onderneming | Werkgever | Firma/Organizacja | Nazwa firmy
        | Nazwa kontrahenta | Przedsiębiorstwo | Pracodawca | Nazwa"""
    ),
    "email": split_titles(
        """E-Mail-Adresse | Primäre E-Mail-Adresse | Primäre E-Mail | Emailadresse | Mailadresse | E-Mail geschäftlich
        | E-Mail (geschäftlich) | E-Mail dienstlich | Geschäftliche E-Mail | Mail | E-Mail 1 | Adresse de messagerie
        | Adresse de courrier | Adresse mail | Adresse e-mail | Adresse e-mail principale | Adresse électronique
        | Courriel | Adresse courriel | E-mail pro | E-mail professionnel | Email professionnel | E-mail principal
        | Dirección de correo electrónico | Dirección de correo electrónico principal | Dirección de email
        | Correo electrónico | Correo electrónico 1 | Correo | Email corporativo | Endereço de e-mail
        | Endereço de email | Endereço de correio eletrónico | Endereço de correio electrónico | Correio eletrónico
        | Email principal | E-mail primário | Indirizzo posta elettronica | Indirizzo di posta elettronica
        | Indirizzo e-mail | Indirizzo email | Indirizzo mail | Posta elettronica | Email primaria | Email principale
        | E-mail aziendale | E-mailadres | Primair e-mailadres | Mailadres | E-mail werk | Zakelijk e-mailadres
        | Adres e-mail | Adres email | Podstawowy e-mail | E-mail służbowy | Adres poczty elektronicznej"""
    ),
    "secondary_email": split_titles(
        """E-Mail 2: Adresse | E-Mail 2 | Sekundäre E-Mail-Adresse | Sekundäre E-Mail | Alternative E-Mail
        | Weitere E-Mail | E-Mail privat | Private E-Mail | Adresse de messagerie 2 | Adresse de courrier 2
        | Adresse mail 2 | Adresse e-mail secondaire | E-mail secondaire | Email perso | E-mail personnel
        | Courriel personnel | Dirección de correo electrónico 2 | Dirección de correo electrónico secundaria
        | Correo electrónico 2 | Email personal | Correo personal | Endereço de email 2 | Endereço de e-mail 2
        | E-mail secundário | Email secundário | E-mail pessoal | Endereço do correio electrónico 2
        | Indirizzo posta elettronica 2 | Indirizzo e-mail 2 | Email secondaria | E-mail personale | E-mailadres 2
        | Secundair e-mailadres | E-mail privé | Adres e-mail 2 | Dodatkowy e-mail | E-mail prywatny"""
    ),
    "tertiary_email": split_titles(
        """E-Mail 3: Adresse | E-Mail 3 | Adresse de messagerie 3 | Adresse de courrier 3 | Adresse mail 3
        | Dirección del correo electrónico 3 | Dirección de correo electrónico 3 | Endereço de email 3
        | Endereço de e-mail 3 | Endereço do correio electrónico 3 | Indirizzo posta elettronica 3
        | Indirizzo e-mail 3 | E-mailadres 3 | Adres e-mail 3"""
    ),
    "work_direct_phone": split_titles(
        """Telefon geschäftlich | Telefon (geschäftlich) | Tel. dienstlich | Telefon dienstlich | Telefon Büro
        | Geschäftliches Telefon | Durchwahl | Direktwahl | Tel. direkt | Telefon Arbeit | Telefon | Telefonnummer
        | Rufnummer | Tel.-Nr. | Telefon 1 | Festnetz | Téléphone (bureau) | Tél. professionnel
        | Téléphone professionnel | Tél. bureau | Tél. direct | Téléphone direct | Téléphone | Tél.
        | Numéro de téléphone | Téléphone fixe | Teléfono del trabajo | Teléfono (trabajo) | Teléfono oficina
        | Tel. oficina | Teléfono directo | Teléfono | Número de teléfono | Tfno. | Tlf. | Teléfono fijo
        | Telefone comercial | Fone comercial | Telefone profissional | Telefone da empresa | Telefone do escritório
        | Telefone | Fone | Telefone fixo | Telefono ufficio | Telefono (uff.) | Telefono lavoro | Telefono di lavoro
        | Telefono diretto | Telefono | Numero di telefono | Telefono 1 | Telefono fisso | Telefoon op werk
        | Telefoon werk | Telefoon (werk) | Telefoon zakelijk | Zakelijk telefoonnummer | Doorkiesnummer | Telefoon
        | Telefoonnummer | Telefon służbowy | Telefon biurowy | Telefon do pracy | Numer telefonu | Nr telefonu"""
    ),
    "home_phone": split_titles(
        """Telefon privat | Telefon (privat) | Tel. privat | Privattelefon | Téléphone (domicile) | Tél. personnel
        | Téléphone personnel | Teléfono particular | Teléfono de casa | Teléfono casa | Tel. casa | Particular
        | Telefone residencial | Telefone da residência | Telefone de casa | Abitazione | Telefono casa
        | Telefono di casa | Telefono (ab.) | Telefoon thuis | Telefoon privé | Telefon domowy | Telefon prywatny"""
    ),
    "mobile_phone": split_titles(
        """Mobiltelefon | Mobiltelefonnummer | Mobil | Mobil-Tel.-Nr. | Mobilnummer | Handy | Handynummer
        | Telefon (mobil) | Telefon mobil | Mobilfunk | Natel | Tél. mobile | Téléphone mobile | Téléphone portable
        | Tél. portable | Portable | Numéro de téléphone mobile | GSM | Cellulaire | Teléfono móvil | Móvil | Celular
        | Teléfono celular | Número de teléfono móvil | Telefone celular | Número do celular | Telemóvel
        | Número de telemóvel | Cellulare | Numero cellulare | Telefono cellulare | Numero di cellulare
        | Telefono mobile | Cell. | Mobiele telefoon | Mobiel nummer | Mobiel | Telefoon mobiel | GSM-nummer
        | Telefon komórkowy | Numer telefonu komórkowego | Komórka | Tel. komórkowy | Tel. kom."""
    ),
    "company_phone": split_titles(
        """Telefon Firma | Firmentelefon | Telefonzentrale | Telefon Zentrale | Zentrale | Téléphone société
        | Téléphone de l'entreprise | Número de centralita de la organización | Centralita
        | Teléfono de la empresa | Telefone principal da empresa | PABX | Telefono principale società | Centralino
        | Telefono azienda | Hoofdtelefoon bedrijf | Telefoon algemeen | Główny telefon do firmy | Telefon firmowy
        | Centrala"""
    ),
    "other_phone": split_titles(
        """Telefon geschäftlich 2 | Weiteres Telefon | Haupttelefon | Telefon 2 | Téléphone 2 (bureau)
        | Téléphone (autre) | Autre téléphone | Téléphone principal | Tél. 2 | Otro teléfono | Teléfono principal
        | Teléfono 2 | Telefone comercial 2 | Outro telefone | Telefone principal | Telefone 2 | Ufficio 2
        | Altro telefono | Telefono principale | Telefono 2 | Telefoon op werk 2 | Andere telefoon | Hoofdtelefoon
        | Telefon służbowy 2 | Inny telefon | Telefon podstawowy"""
    ),
    "stage": split_titles(
        """Leadstatus | Lead-Status | Kontaktstatus | Lifecycle-Phase | Phase | Statut du lead
        | Phase du cycle de vie | Statut | Estado del lead | Etapa del ciclo de vida | Etapa | Status do lead
        | Fase do ciclo de vida | Estágio | Stato lead | Fase del ciclo di vita | Status lead | Levenscyclusfase
        | Status leada | Etap cyklu życia | Etap"""
    ),
    "lists": split_titles(
        """Kategorien | Kategorie | Gruppen | Gruppe | Liste | Listen | Schlagwörter | Verteiler | Catégories
        | Catégorie | Étiquettes | Groupes | Groupe | Listes | Libellés | Categorías | Categoría | Etiquetas | Grupos
        | Grupo | Lista | Listas | Categorias | Marcadores | Categorie | Categoria | Etichette | Gruppi | Gruppo
        | Categorieën | Groepen | Groep | Lijst | Kategoria | Etykiety | Grupy | Grupa | Listy"""
    ),
    "contact_owner": split_titles(
        """Zuständiger Mitarbeiter | Kontaktinhaber | Kontakt-Inhaber | Zugewiesen an | Kundenbetreuer | Betreuer
        | Propriétaire du contact | Assigné à | Attribué à | Propietario del contacto | Asignado a
        | Proprietário do contato | Atribuído a | Proprietario del contatto | Assegnato a | Contacteigenaar
        | Toegewezen aan | Właściciel kontaktu | Przypisano do | Opiekun"""
    ),
    "employees": split_titles(
        """Anzahl Mitarbeiter | Anzahl der Mitarbeiter | Mitarbeiterzahl | Mitarbeiteranzahl | Beschäftigte
        | Unternehmensgröße | Nombre d'employés | Nombre de salariés | Effectif | Effectifs
        | Taille de l'entreprise | Número de empleados | Nº de empleados | Empleados | Plantilla
        | Número de funcionários | Nº de funcionários | Funcionários | Número de colaboradores | Numero dipendenti
        | Numero di dipendenti | N. dipendenti | Dipendenti | Addetti | Aantal werknemers | Aantal medewerkers
        | Liczba pracowników | Ilość pracowników | Zatrudnienie"""
    ),
    "industry": split_titles(
        """Branche | Wirtschaftszweig | Industrie | Sektor | Secteur d'activité | Secteur | Domaine d'activité
        | Sector industrial | Industria | Rubro | Giro | Setor | Segmento | Ramo de atividade | Indústria | Settore
        | Settore di attività | Bedrijfstak | Branża"""
    ),
    "person_linkedin_url": split_titles(
        """LinkedIn-Profil | LinkedIn Profil-URL | LinkedIn-Link | Profil LinkedIn | URL LinkedIn | Lien LinkedIn
        | URL du profil LinkedIn | Perfil de LinkedIn | URL de LinkedIn | Enlace LinkedIn | Perfil do LinkedIn
        | URL do LinkedIn | Link do LinkedIn | Profilo LinkedIn | Link LinkedIn | LinkedIn-profiel | Adres LinkedIn"""
    ),
    "website": split_titles(
        """Webseite | Webseite 1 | Homepage | Internetseite | Internetadresse | Webadresse | Website-URL
        | Page web | Site web | Site web 1 | Site internet | URL du site web | Página web | Página web 1 | Sitio web
        | URL del sitio web | Dominio | Página da web | Site de internet | URL do site | Pagina web
        | Pagina web 1 | Sito web | Sito internet | Sito | Webpagina | Webpagina 1 | Webadres | Strona WWW
        | Strona WWW 1 | Strona internetowa | Strona sieci Web | Adres WWW | WWW"""
    ),
    "address": split_titles(
        """Straße privat | Privat: Adresse | Straße | Straße und Hausnummer | Straße/Nr. | Anschrift | Adresse
        | Adresse 1 | Rue (domicile) | Adresse privée | Rue | Adresse postale | Dirección personal | Dirección
        | Calle | Domicilio | Calle y número | Endereço residencial | Endereço de casa | Endereço | Rua | Logradouro
        | Rua da residência | Endereço pessoal | Morada | Via (ab.) | Indirizzo di casa | Indirizzo
        | Huisadres, straat | Adres | Straat | Straatnaam | Adres domowy - ulica | Ulica (dom) | Adres domowy
        | Ulica"""
    ),
    "city": split_titles(
        """Ort privat | Privat: Ort | Ort | Stadt | Wohnort | Ville (domicile) | Ville | Localité | Commune
        | Ciudad donde vive | Ciudad | Población | Localidad | Municipio | Cidade do endereço residencial
        | Cidade de casa | Cidade | Localidade da residência | Localidade | Município | Città (ab.)
        | Città di residenza | Città | Comune | Località | Huisadres, plaats | Woonplaats | Plaats | Stad
        | Adres domowy - miejscowość | Miasto (dom) | Miasto | Miejscowość"""
    ),
    "state": split_titles(
        """Bundesland/Kanton privat | Region privat | Privat: Bundesland | Bundesland | Kanton | Bundesland/Region
        | Dép/Région (domicile) | Région | Département | Canton | État/Région | Pays/État | Provincia | Estado
        | Estado/Provincia | Comunidad Autónoma | Región | Estado/región | Estado de casa | UF | Estado/Região
        | Distrito da residência | Distrito | Provincia (ab.) | Provincia di residenza | Prov. | Regione
        | Huisadres, provincie | Provincie | Adres domowy - województwo | Województwo (dom) | Województwo"""
    ),
    "country": split_titles(
        """Land/Region privat | Land privat | Privat: Land | Land | Land/Region | Ländercode | Pays/Région (domicile)
        | Pays (domicile) | Pays | Pays/région | Code pays | País o región del domicilio | País de residencia | País
        | País/región | País/Região de Residência | Região/País de casa | País da Residência/Região | Paese (ab.)
        | Paese/area geografica (ab.) | Nazione di residenza | Nazione | Paese | Land/regio (thuis) | Landcode
        | Adres domowy - kraj/region | Adres domowy - kraj | Państwo (dom) | Kraj | Państwo"""
    ),
    "company_address": split_titles(
        """Straße geschäftlich | Dienstlich: Adresse | Firmenadresse | Geschäftsadresse | Firmenanschrift
        | Rue (bureau) | Adresse professionnelle | Adresse de l'entreprise | Adresse société | Calle del trabajo
        | Dirección de trabajo | Dirección de la empresa | Endereço comercial | Rua comercial | Rua da empresa
        | Endereço profissional | Via (uff.) | Indirizzo di lavoro | Indirizzo azienda | Werkadres, straat
        | Werkadres | Bedrijfsadres | Bezoekadres | Adres służbowy - ulica | Ulica (biuro) | Adres służbowy
        | Adres firmy"""
    ),
    "company_city": split_titles(
        """Ort geschäftlich | Dienstlich: Ort | Firmensitz | Ville (bureau) | Ciudad de trabajo | Ciudad (trabajo)
        | Cidade comercial | Cidade de trabalho | Localidade da empresa | Città (uff.) | Città di lavoro
        | Werkadres, plaats | Vestigingsplaats | Adres służbowy - miejscowość | Miasto (biuro) | Miasto (praca)"""
    ),
    "company_state": split_titles(
        """Region geschäftlich | Dienstlich: Bundesland | Dép/Région (bureau) | Département (bureau)
        | Provincia o estado de trabajo | Provincia (trabajo) | Estado comercial | Estado de trabalho
        | Distrito da empresa | Provincia (uff.) | Provincia di lavoro | Werkadres, provincie | Werkprovincie
        | Adres służbowy - województwo | Województwo (biuro) | Województwo (praca)"""
    ),
    "company_country": split_titles(
        """Land/Region geschäftlich | Land geschäftlich | Dienstlich: Land | Pays/Région (bureau) | Pays (bureau)
        | País o región del trabajo | País (trabajo) | País/Região da Empresa | Região/País comercial
        | País de trabalho | Paese (uff.) | Paese/area geografica (uff.) | Nazione di lavoro | Land/regio (werk)
        | Werkland | Adres służbowy - kraj/region | Państwo (praca)"""
    ),
    "annual_revenue": split_titles(
        """Jahresumsatz | Umsatz | Chiffre d'affaires annuel | Chiffre d'affaires | Ingresos anuales
        | Facturación anual | Volumen de negocio | Receita anual | Faturamento anual | Faturamento | Faturação anual
        | Volume de negócios | Fatturato annuo | Fatturato annuale | Fatturato | Ricavi annui | Jaarlijkse omzet
        | Jaaromzet | Omzet | Roczne przychody | Roczny obrót | Przychody"""
    ),
    "contact_id": split_titles(
        """Kontakt-ID | Datensatz-ID | Kontaktnummer | Id contact | ID de contact | ID del contacto | Contacto Id
        | ID do contato | ID contatto | Contatto Id | ID kontaktu | Kontakt ID"""
    ),
    "last_contacted": split_titles(
        """Letzter Kontakt | Zuletzt kontaktiert | Dernier contact | Último contacto | Último contato
        | Ultimo contatto
        | Laatste contact | Ostatni kontakt"""
    ),
    "do_not_call": split_titles(
        """Nicht anrufen | Keine Anrufe | Kein Anruf | Anrufsperre | Telefonsperre | Ne pas appeler
        | Opposition téléphonique | No llamar | No llamar por teléfono | Não ligar | Não telefonar
        | Não fazer chamada | Recusa chamada | Non chiamare | Niet bellen | Nie dzwonić"""
    ),
    "unsubscribed": split_titles(
        """Abgemeldet | Abbestellt | Von allen E-Mails abgemeldet | Abgemeldet am | Abmeldedatum
        | Newsletter abgemeldet | Kein Newsletter | Keine Werbung
        | Werbesperre | Werbewiderspruch | E-Mail-Sperre | Keine E-Mails senden | Désabonné | Désinscrit
        | Désabonnement | Date de désinscription | Opposition e-mail | Ne pas envoyer d'e-mail | Exclusion email
        | Dado de baja
        | Fecha de baja | Se dio de baja de todos los correos electrónicos | Suscripción cancelada
        | No enviar email | Rehusar email | Descadastrado
        | Data de descadastro | Não enviar e-mail | Recusa email | Subscrição cancelada | Disiscritto | Disiscrizione
        | Data disiscrizione | Non inviare email | Blocca email | Uitgeschreven | Afgemeld | Uitschrijfdatum
        | Niet e-mailen | Geen nieuwsbrief | Wypisany | Wypisany z newslettera | Data wypisania
        | Nie wysyłać e-maili"""
    ),
    "email_bounced": split_titles(
        """Gebounct | Unzustellbar | E-Mail unzustellbar | Rückläufer | Ungültige E-Mail | Rebond
        | Rebond définitif | Email non valide | Rebotado | Rebote | Email no válido | E-mail devolvido
        | Email inválido | Rimbalzata | Email non valida | Gebounced | Onbestelbaar | Ongeldige e-mail | Odbity
        | Twarde odbicie | Nieprawidłowy adres e-mail"""
    ),
}
"""Titles of each field, as written, best first."""


LOCAL_EXTRAS: Final = split_titles(
    """Anrede | Titel | Notizen | Bemerkung | Bemerkungen | Geburtstag | Geburtsdatum | PLZ | Postleitzahl | Fax
    | Telefax | Weitere Vornamen | Civilité | Notes | Remarques | Anniversaire | Date de naissance | Code postal
    | Télécopie | Tratamiento | Notas | Observaciones | Cumpleaños | Fecha de nacimiento | Código postal | Tratamento
    | Observações | Data de nascimento | CEP | Titolo | Note | Compleanno | Data di nascita | CAP | Aanhef | Titel
    | Notities | Opmerkingen | Geboortedatum | Postcode | Tytuł | Uwagi | Notatki | Data urodzin | Kod pocztowy
    | Tussenvoegsel | Kundennummer | N° client | Número de cliente | Codice cliente | Klantnummer | Numer klienta
    | Verbunden am | Connecté le | Conectado el"""
)
"""Titles that feed no field and show that a row is a header."""

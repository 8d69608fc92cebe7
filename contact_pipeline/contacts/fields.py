"""The one table of contact fields.

Everything that knows fields is built from this module: the pandera schema, the
Postgres table, the header aliases and the sample-file generator. Names, types
and headers follow the exports of Apollo.io from 2022 to 2026; aliases are the
column titles that HubSpot, Salesforce, ZoomInfo, Lusha, Seamless.AI, Outlook,
Google Contacts and others write.
"""

from __future__ import annotations

from typing import Final

from contact_pipeline.contacts.field import Field, Kind, _aliases, field

_POSTGRES_INTEGER_MAXIMUM: Final = 2**31 - 1

_AMOUNT_MAXIMUM: Final = 10**16 - 1

FIELDS: Final[tuple[Field, ...]] = (
    field(
        "first_name",
        Kind.TEXT,
        "First Name",
        "firstname, first, given name, givenname, fname, contact first name, executive first name, forename",
        personal=True,
    ),
    field(
        "last_name",
        Kind.TEXT,
        "Last Name",
        "lastname, last, family name, familyname, surname, lname, executive last name",
        personal=True,
    ),
    field(
        "title",
        Kind.TEXT,
        "Title",
        "position, role, organization title, organization 1 title, job, designation, employment title",
        before="job title, jobtitle, puesto, cargo, stanowisko, functie, posizione, fonction, poste, jobtitel",
        personal=True,
    ),
    field("seniority", Kind.TEXT, "Seniority", "seniority level, management level, job level"),
    field(
        "departments",
        Kind.TEXT,
        "Departments",
        "department, organization department, job function, function",
    ),
    field("sub_departments", Kind.TEXT, "Sub Departments"),
    field(
        "company",
        Kind.TEXT,
        "Company|Company Name",
        "organization, organisation, organization name, organization 1 name, account name, company account, "
        "employer, associated company, companyname, tenant name, company name cleaned",
    ),
    field(
        "company_name_for_emails",
        Kind.TEXT,
        "Company Name for Emails",
        "cleaned company name, company name cleaned",
    ),
    field(
        "email",
        Kind.EMAIL,
        "Email",
        "email address, e mail, e mail address, work email, business email, primary email, corporate email, "
        "email 1, e mail 1 value, e mail 1 wert, e mail 1 valeur, contact email, person email, emailaddress, emails, "
        "email1, "
        "email id, e mail id, contact email address, work e mail, email work, e mail work, email business",
        personal=True,
    ),
    field(
        "email_status",
        Kind.TEXT,
        "Email Status",
        "email verification status, email 1 validation, verification status",
    ),
    field("primary_email_source", Kind.TEXT, "Primary Email Source"),
    field("primary_email_verification_source", Kind.TEXT, "Primary Email Verification Source"),
    field("email_confidence", Kind.SCORE, "Email Confidence", maximum=1),
    field(
        "primary_email_catch_all_status",
        Kind.TEXT,
        "Catch-all Status|Primary Email Catch-all Status",
    ),
    field(
        "primary_email_last_verified_at",
        Kind.TIMESTAMP,
        "Email Last Verified At|Primary Email Last Verified At",
    ),
    field(
        "work_direct_phone",
        Kind.PHONE,
        "Work Direct Phone",
        "direct phone, direct phone number, direct dial, business phone, work phone, office phone, phone, "
        "phone number, telephone, phone 1, phone 1 value, contact phone 1, primary phone, tel",
        personal=True,
    ),
    field("home_phone", Kind.PHONE, "Home Phone", "homephone", personal=True),
    field(
        "mobile_phone",
        Kind.PHONE,
        "Mobile Phone",
        "mobile, mobile phone number, mobilephone, cell, cell phone, contact mobile phone, mobile number",
        personal=True,
    ),
    field("corporate_phone", Kind.PHONE, "Corporate Phone", "hq phone"),
    field(
        "other_phone",
        Kind.PHONE,
        "Other Phone",
        "otherphone, phone 2, phone 2 value, contact phone 2, business phone 2",
        personal=True,
    ),
    field("first_phone", Kind.PHONE, "First Phone", personal=True),
    field(
        "do_not_call",
        Kind.BOOLEAN,
        "Do Not Call",
        "donotcall, do not phone, dnc, no call, no calls, phone opt out, calls opted out, callsoptedout, on dnc list, "
        "do not call flag, do not allow phone calls",
        says_no=True,
    ),
    field(
        "unsubscribed",
        Kind.BOOLEAN,
        "Unsubscribed",
        "unsubscribed from all email, unsubscribed from all emails, email opt out, email opted out, emails opted out, "
        "opted out of email, opt out of email, marketing opt out, "
        "hasoptedoutofemail, hs email optout, opted out, opt out, optout, email optout, "
        "email unsubscribed, is unsubscribed, do not email, do not e mail, donotemail, no email, global unsubscribe, "
        "emailsoptedout, email blacklisted, emailblacklist, blocklisted, blacklisted, unsubscribe, unsubscribed at, "
        "unsubscribed on, unsubscribe date, unsubscribed date, unsub time, opt out date, opted out at, "
        "email opt out date, do not allow emails, do not allow bulk emails, marketing suspended, do not contact, "
        "donotcontact, opted out date, unsubscribe time, donotbulkemail, do not bulk email",
        says_no=True,
    ),
    field(
        "stage",
        Kind.TEXT,
        "Stage",
        "contact stage, lifecycle stage, lead status, lead stage, deal stage, status",
    ),
    field("lists", Kind.TEXT, "Lists", "list, labels, group membership, tags"),
    field("contact_owner", Kind.TEXT, "Contact Owner", "lead owner, owner"),
    field("account_owner", Kind.TEXT, "Account Owner"),
    field("last_contacted", Kind.TIMESTAMP, "Last Contacted"),
    field(
        "employees",
        Kind.INTEGER,
        "# Employees",
        "num employees, no of employees, number of employees, numberofemployees, employee count, company size, "
        "company staff count, headcount, company number of employees, metrics employees, size",
        maximum=_POSTGRES_INTEGER_MAXIMUM,
    ),
    field(
        "industry",
        Kind.TEXT,
        "Industry",
        "company industry, primary industry, company main industry, sector, vertical",
    ),
    field("keywords", Kind.LONG_TEXT, "Keywords", "company keywords"),
    field("technologies", Kind.LONG_TEXT, "Technologies", "tech stack"),
    field(
        "person_linkedin_url",
        Kind.URL,
        "Person Linkedin Url",
        "linkedin, linkedin url, linkedin profile, linkedin contact profile url, contact li profile url, "
        "contact li, linkedinprofileurl, linkedin profile url, linkedin link, profileurl",
        personal=True,
    ),
    field(
        "website",
        Kind.URL,
        "Website",
        "website url, company website, company website full, company domain name, company domain, domain, web, "
        "web page, companydomain, url",
    ),
    field(
        "company_linkedin_url",
        Kind.URL,
        "Company Linkedin Url",
        "company linkedin, linkedin company profile url, company li profile url, regularcompanyurl",
    ),
    field("facebook_url", Kind.URL, "Facebook Url", "facebook, facebook company profile url"),
    field("twitter_url", Kind.URL, "Twitter Url", "twitter, twitter company profile url, x url"),
    field(
        "address",
        Kind.TEXT,
        "Address",
        "street address, street, person street, mailing street, home street, address 1 street, address 1 formatted",
        personal=True,
    ),
    field(
        "city",
        Kind.TEXT,
        "City",
        "person city, mailing city, contact city, home city, address 1 city, lead city",
        personal=True,
    ),
    field(
        "state",
        Kind.TEXT,
        "State",
        "state region, province, region, mailing state, mailing state province, person state, contact state, "
        "home state, address 1 region, lead state, mailing state code",
        personal=True,
    ),
    field(
        "country",
        Kind.TEXT,
        "Country",
        "country region, mailing country, person country, contact country, home country region, address 1 country, "
        "mailing country code",
        personal=True,
    ),
    field(
        "company_address",
        Kind.TEXT,
        "Company Address",
        "company street address, company street, business street, company location",
    ),
    field("company_city", Kind.TEXT, "Company City", "business city"),
    field("company_state", Kind.TEXT, "Company State", "business state, company state region"),
    field(
        "company_country", Kind.TEXT, "Company Country", "business country region, company country region, hq country"
    ),
    field(
        "company_phone",
        Kind.PHONE,
        "Company Phone",
        "company phone number, company hq phone, company main phone, company phone 1",
    ),
    field("seo_description", Kind.LONG_TEXT, "SEO Description"),
    field(
        "annual_revenue",
        Kind.AMOUNT,
        "Annual Revenue",
        "annualrevenue, revenue, company revenue, company annual revenue, revenue in 000s usd, metrics annualrevenue",
        maximum=_AMOUNT_MAXIMUM,
    ),
    field("total_funding", Kind.AMOUNT, "Total Funding", "total funding amount in 000s usd", maximum=_AMOUNT_MAXIMUM),
    field(
        "latest_funding",
        Kind.TEXT,
        "Latest Funding",
        "latest funding stage, recent funding round, last funding type",
    ),
    field(
        "latest_funding_amount",
        Kind.AMOUNT,
        "Latest Funding Amount",
        "last funding amount, recent funding amount in 000s usd",
        maximum=_AMOUNT_MAXIMUM,
    ),
    field(
        "last_raised_at",
        Kind.DATE,
        "Last Raised At",
        "latest funding date, recent funding date, last funding date",
    ),
    field("subsidiary_of", Kind.TEXT, "Subsidiary of|Parent company (Apollo data)"),
    field(
        "subsidiary_of_org",
        Kind.TEXT,
        "Subsidiary of (Organization ID)|Parent company (Apollo data - Organization ID)",
    ),
    field("email_sent", Kind.BOOLEAN, "Email Sent"),
    field("email_open", Kind.BOOLEAN, "Email Open"),
    field(
        "email_bounced",
        Kind.BOOLEAN,
        "Email Bounced",
        "bounced, hard bounced, hard bounce, hardbounce, has bounced, email hard bounced, is email bounced, "
        "isemailbounced, bounced at, bounced date, email bounced date, emailbounceddate, email bounced at, clean time, "
        "email invalid, invalid email address, email undeliverable, bouncing, pardot hard bounced",
        says_no=True,
    ),
    field("replied", Kind.BOOLEAN, "Replied"),
    field("demoed", Kind.BOOLEAN, "Demoed"),
    field(
        "number_of_retail_locations",
        Kind.INTEGER,
        "Number of Retail Locations",
        maximum=_POSTGRES_INTEGER_MAXIMUM,
    ),
    field("sic_codes", Kind.TEXT, "SIC Codes", "sic code"),
    field("naics_codes", Kind.TEXT, "NAICS Codes", "naics code"),
    field(
        "contact_id",
        Kind.IDENTIFIER,
        "Apollo Contact Id",
        "record id contact, zoominfo contact id, vmid, contact id, lead id, record id, customer id, salesforce id",
    ),
    field(
        "account_id",
        Kind.IDENTIFIER,
        "Apollo Account Id",
        "account id, record id company, zoominfo company id, accountid, companyid",
    ),
    field("apollo_record_id", Kind.IDENTIFIER, "Apollo Record Id"),
    field(
        "secondary_email",
        Kind.EMAIL,
        "Secondary Email",
        "email 2, e mail 2 value, e mail 2 address, personal email, private email, direct email, additional email 1, "
        "work email 2",
        personal=True,
    ),
    field("secondary_email_source", Kind.TEXT, "Secondary Email Source"),
    field("secondary_email_status", Kind.TEXT, "Secondary Email Status"),
    field("secondary_email_verification_source", Kind.TEXT, "Secondary Email Verification Source"),
    field(
        "tertiary_email",
        Kind.EMAIL,
        "Tertiary Email",
        "email 3, e mail 3 value, e mail 3 address, additional email 2, personal email, private email, direct email, "
        "additional email 1, work email 2",
        personal=True,
    ),
    field("tertiary_email_source", Kind.TEXT, "Tertiary Email Source"),
    field("tertiary_email_status", Kind.TEXT, "Tertiary Email Status"),
    field("tertiary_email_verification_source", Kind.TEXT, "Tertiary Email Verification Source"),
    field("user_managed", Kind.BOOLEAN, "User Managed"),
    field("primary_intent_topic", Kind.TEXT, "Primary Intent Topic"),
    field("primary_intent_score", Kind.SCORE, "Primary Intent Score", maximum=999_999),
    field("secondary_intent_topic", Kind.TEXT, "Secondary Intent Topic"),
    field("secondary_intent_score", Kind.SCORE, "Secondary Intent Score", maximum=999_999),
)

FULL_NAME: Final = "full_name"
"""No field: a column that is split into `first_name` and `last_name`."""

FULL_NAME_TITLES: Final = _aliases(
    "full name, fullname, contact full name, contact name, name, lead name, display name, person name"
)

THOUSANDS_TITLES: Final = frozenset(
    {"revenue in 000s usd", "total funding amount in 000s usd", "recent funding amount in 000s usd"}
)
"""Titles of columns that count in thousands."""

CONSENT_FIELDS: Final = tuple(field.name for field in FIELDS if field.says_no)
"""Fields in which true says what must not be done: call, write to, expect to arrive."""

FIELD_BY_NAME: Final[dict[str, Field]] = {field.name: field for field in FIELDS}

TEXT_KINDS: Final = frozenset({Kind.TEXT, Kind.LONG_TEXT, Kind.IDENTIFIER, Kind.EMAIL, Kind.PHONE, Kind.URL})
"""Kinds stored as text; the others are parsed into a typed value."""

MAXIMUM_BYTES: Final[dict[Kind, int]] = {
    Kind.TEXT: 4_096,
    Kind.LONG_TEXT: 1_048_576,
    Kind.IDENTIFIER: 255,
    Kind.EMAIL: 320,
    Kind.PHONE: 64,
    Kind.URL: 2_048,
}
"""Longest value accepted, in UTF-8 bytes. Real exports reach 8,463 (technologies) and 130 (title)."""

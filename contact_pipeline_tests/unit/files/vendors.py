"""What each vendor's titles mean: its header, each title with the field that it feeds after `>`, or with none."""

from __future__ import annotations

_HEADERS = {
    "hubspot": """
        Record ID - Contact>contact_id|First Name>first_name|Last Name>last_name|Client Grade|Email>email|
        Phone Number>work_direct_phone|Contact owner>contact_owner|Last Activity Date|Create Date|Company Name>company|
        Contact type|Country/Region>country|Job Title>title|Mobile Phone Number>mobile_phone|State/Region>state|
        Street Address>address|Website URL>website|Last Engagement Date|Postal Code|Record ID - Company>account_id|
        Company name|Create Date|Phone Number>company_phone|Last Activity Date|City>company_city|
        Country/Region>company_country|Industry>industry""",
    "hubspot contacts": """
        Record ID>contact_id|First Name>first_name|Last Name>last_name|Email>email|Phone Number>work_direct_phone|
        Contact owner>contact_owner|Lead Status>stage|Create Date|Associated Company>company""",
    "salesforce": """
        Id>contact_id|FirstName>first_name|LastName>last_name|Salutation|AccountId>account_id|Title>title|
        Department>departments|Phone>work_direct_phone|MobilePhone>mobile_phone|HomePhone>home_phone|
        OtherPhone>other_phone|Fax|Email>email|LeadSource|MailingStreet>address|MailingCity>city|MailingState>state|
        MailingPostalCode|MailingCountry>country|Description""",
    "salesforce codes": """
        Id>contact_id|FirstName>first_name|LastName>last_name|AccountId>account_id|Email>email|MailingStateCode>state|
        MailingCountryCode>country""",
    "salesforce report": """
        Salutation|First Name>first_name|Last Name>last_name|Title>title|Mailing Street>address|Mailing City>city|
        Mailing State/Province>state|Mailing Zip/Postal Code|Mailing Country>country|Phone>work_direct_phone|
        Mobile>mobile_phone|Fax|Email>email|Account Owner>account_owner|Account Name>company""",
    "salesforce leads": """
        Lead ID>contact_id|FirstName>first_name|LastName>last_name|Email>email|Phone>work_direct_phone|Company>company|
        LeadSource|Status>stage|OwnerId|NumberOfEmployees>employees|AnnualRevenue>annual_revenue|Website>website|
        Industry>industry""",
    "salesforce lead report": """
        Lead Owner>contact_owner|First Name>first_name|Last Name>last_name|Title>title|Company / Account>company|
        Lead Source|Rating|Street>address|Email>email""",
    "linkedin": """
        First Name>first_name|Last Name>last_name|URL>person_linkedin_url|Email Address>email|Company>company|
        Position>title|Connected On""",
    "phantombuster": """
        profileUrl|fullName|firstName>first_name|lastName>last_name|companyName>company|title>title|
        companyId>account_id|companyUrl|regularCompanyUrl>company_linkedin_url|summary|titleDescription|
        industry>industry|companyLocation>company_address|location|durationInRole|connectionDegree|name|vmid>contact_id|
        linkedInProfileUrl>person_linkedin_url|isPremium|query|timestamp""",
    "google": """
        First Name>first_name|Middle Name|Last Name>last_name|Phonetic First Name|Name Prefix|Name Suffix|Nickname|
        File As|Organization Name>company|Organization Title>title|Organization Department>departments|Birthday|Notes|
        Photo|Labels>lists|E-mail 1 - Label|E-mail 1 - Value>email|E-mail 2 - Value>secondary_email|Phone 1 - Label|
        Phone 1 - Value>work_direct_phone|Address 1 - Street>address|Address 1 - City>city|Address 1 - Region>state|
        Address 1 - Country>country""",
    "google old": """
        Name|Given Name>first_name|Additional Name|Family Name>last_name|Yomi Name|Group Membership>lists|
        E-mail 1 - Type|E-mail 1 - Value>email|Phone 1 - Type|Phone 1 - Value>work_direct_phone|
        Organization 1 - Name>company|Organization 1 - Title>title""",
    "outlook": """
        Title|First Name>first_name|Middle Name|Last Name>last_name|Suffix|Company>company|Department>departments|
        Job Title>title|Business Street>company_address|Business Street 2|Business City>company_city|
        Business State>company_state|Business Postal Code|Business Country/Region>company_country|Home Street>address|
        Home City>city|Home State>state|Home Country/Region>country|Business Phone>work_direct_phone|
        Business Phone 2>other_phone|Company Main Phone>company_phone|Home Phone>home_phone|Mobile Phone>mobile_phone|
        Primary Phone|E-mail Address>email|E-mail 2 Address>secondary_email|Keywords>keywords|Web Page>website""",
    "zoominfo": """
        ZoomInfo Contact ID>contact_id|Last Name>last_name|First Name>first_name|Middle Name|Salutation|Suffix|
        Job Title>title|Job Title Hierarchy Level|Management Level>seniority|Job Start Date|Job Function|
        Department>departments|Company Division Name|Direct Phone Number>work_direct_phone|Email Address>email|
        Email Domain|Mobile phone>mobile_phone|Contact Accuracy Score|ZoomInfo Contact Profile URL|
        LinkedIn Contact Profile URL>person_linkedin_url|Person Street>address|Person City>city|Person State>state|
        Person Zip Code|Country>country|ZoomInfo Company ID>account_id|Company Name>company|Company Description|
        Website>website|Founded Year|Company HQ Phone>company_phone|Fax|Ticker|Revenue (in 000s USD)>annual_revenue|
        Revenue Range (in USD)|Employees>employees|Employee Range|SIC Codes>sic_codes|NAICS Codes>naics_codes|
        Primary Industry>industry|Primary Sub-Industry|LinkedIn Company Profile URL>company_linkedin_url|
        Facebook Company Profile URL>facebook_url|Twitter Company Profile URL>twitter_url|
        Total Funding Amount (in 000s USD)>total_funding|Recent Funding Amount (in 000s USD)>latest_funding_amount|
        Recent Funding Round>latest_funding|Recent Funding Date>last_raised_at|Company Street Address>company_address|
        Company City>company_city|Company State>company_state|Company Zip Code|Company Country>company_country""",
    "seamless": """
        Research Date|Contact Full Name|First Name>first_name|Last Name>last_name|Title>title|Department>departments|
        Seniority>seniority|Company Name>company|Company Name - Cleaned>company_name_for_emails|Website>website|
        List>lists|Primary Email>email|Intel|Contact LI Profile URL>person_linkedin_url|Email 1|
        Email 1 Validation>email_status|Email 1 Total AI|Personal Email>secondary_email|
        Contact Phone 1>work_direct_phone|Company Phone 1>company_phone|Contact Mobile Phone>mobile_phone|
        Contact City>city|Contact State>state|Contact Country>country|Company Location>company_address|
        Company Staff Count>employees|Company Annual Revenue>annual_revenue|Company Industry>industry|
        SIC Code>sic_codes|NAICS Code>naics_codes|Company LI Profile Url>company_linkedin_url""",
    "lusha": """
        Contact name>full_name|Job Title>title|Work Email>email|Additional Email 1>secondary_email|
        Additional Email 2>tertiary_email|Phone 1>work_direct_phone|Phone 1 Type|Phone 2>other_phone|Phone 2 Type|
        LinkedIn URL>person_linkedin_url|Company Name>company|Company Domain|Company Website>website|
        Company Description|Company LinkedIn URL>company_linkedin_url|Company Main Industry>industry|
        Company Sub Industry|Company Number of Employees>employees|Company Revenue>annual_revenue|
        Company City>company_city|Company State>company_state|Company Country>company_country|Company Intent Topics""",
    "lusha new": """
        First Name>first_name|Last Name>last_name|Job Title>title|Work email>email|Work email 2>tertiary_email|
        Private email>secondary_email|Direct phone>work_direct_phone|Mobile>mobile_phone|Mobile 2|
        Contact LI>person_linkedin_url|Company Main Industry>industry|Company Name>company""",
    "clearbit": """
        givenName>first_name|familyName>last_name|fullName|email>email|employment.title>title|seniority>seniority|
        company.name>company|domain>website|metrics.employees>employees|metrics.annualRevenue>annual_revenue""",
    "zoho": """
        Lead Name>full_name|Company>company|Email>email|Secondary Email>secondary_email|No. of Employees>employees|
        Lead Source|Lead Status>stage|Street>address|Zip Code""",
    "pipedrive": """
        Person - Name>full_name|Organization - Name>company|Person - Email>email""",
    "datablist": """
        Index|Account Id>account_id|Lead Owner>contact_owner|First Name>first_name|Last Name>last_name|Company>company|
        Phone 1>work_direct_phone|Phone 2>other_phone|Email 1>email|Email 2>secondary_email|Website>website|Source|
        Deal Stage>stage|Notes""",
    "scraped": """
        ID|Full Name>full_name|Title>title|Headline|Company>company|Company Founded Year|Languages|
        Company Headcount Six Month Growth|Email>email""",
    "apify": """
        LinkedIn Link>person_linkedin_url|First Name>first_name|Lead City>city|Lead State>state|
        Company Website Full>website|Company Phone Number>company_phone""",
}

VENDORS: dict[str, list[tuple[str, str | None]]] = {
    name: [
        (title.strip(), field or None)
        for title, _, field in (column.strip().partition(">") for column in header.split("|"))
    ]
    for name, header in _HEADERS.items()
}

SOURCES = {
    "scraped": "other", "apify": "other", "clearbit": "other", "zoho": "other", "datablist": "other",
}  # fmt: skip
"""Sources that are not the first word of the name."""

COMPANIES = {
    "apollo": "Company Name,Company Name for Emails,Account Stage,Lists,# Employees,Industry,Account Owner,Website,"
    "Company Linkedin Url,Facebook Url,Twitter Url,Company Street,Company City,Company State,Company Country,"
    "Company Postal Code,Company Address,Keywords,Company Phone,Technologies,Total Funding,Latest Funding,"
    "Latest Funding Amount,Last Raised At,Annual Revenue,Number of Retail Locations,Apollo Account Id,"
    "Short Description,Founded Year,Logo Url,Subsidiary of",
    "hubspot": "Record ID,Company name,Company owner,Create Date,Phone Number,Last Activity Date,City,Country/Region,"
    "Industry",
    "salesforce": "Id,Name,Type,ParentId,BillingStreet,BillingCity,Phone,Website,Industry,AnnualRevenue,"
    "NumberOfEmployees,OwnerId",
}

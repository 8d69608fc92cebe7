"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_FORBID_CHANGE = """
CREATE FUNCTION import_events_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'import_events is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON import_events
FOR EACH STATEMENT EXECUTE FUNCTION import_events_are_append_only();
"""


def upgrade() -> None:
    op.create_table(
        "contact_versions",
        sa.Column("version", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("replaced_by_import", sa.Text(), nullable=False),
        sa.Column("replaced_in_chunk", sa.Integer(), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("seniority", sa.Text(), nullable=True),
        sa.Column("departments", sa.Text(), nullable=True),
        sa.Column("sub_departments", sa.Text(), nullable=True),
        sa.Column("company", sa.Text(), nullable=True),
        sa.Column("company_name_for_emails", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(collation="C"), nullable=True),
        sa.Column("email_status", sa.Text(), nullable=True),
        sa.Column("primary_email_source", sa.Text(), nullable=True),
        sa.Column("primary_email_verification_source", sa.Text(), nullable=True),
        sa.Column("email_confidence", sa.Numeric(precision=9, scale=3), nullable=True),
        sa.Column("primary_email_catch_all_status", sa.Text(), nullable=True),
        sa.Column("primary_email_last_verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("work_direct_phone", sa.Text(), nullable=True),
        sa.Column("home_phone", sa.Text(), nullable=True),
        sa.Column("mobile_phone", sa.Text(), nullable=True),
        sa.Column("corporate_phone", sa.Text(), nullable=True),
        sa.Column("other_phone", sa.Text(), nullable=True),
        sa.Column("first_phone", sa.Text(), nullable=True),
        sa.Column("do_not_call", sa.Boolean(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("lists", sa.Text(), nullable=True),
        sa.Column("contact_owner", sa.Text(), nullable=True),
        sa.Column("account_owner", sa.Text(), nullable=True),
        sa.Column("last_contacted", sa.DateTime(timezone=True), nullable=True),
        sa.Column("employees", sa.Integer(), nullable=True),
        sa.Column("industry", sa.Text(), nullable=True),
        sa.Column("keywords", sa.Text(), nullable=True),
        sa.Column("technologies", sa.Text(), nullable=True),
        sa.Column("person_linkedin_url", sa.Text(), nullable=True),
        sa.Column("website", sa.Text(), nullable=True),
        sa.Column("company_linkedin_url", sa.Text(), nullable=True),
        sa.Column("facebook_url", sa.Text(), nullable=True),
        sa.Column("twitter_url", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("company_address", sa.Text(), nullable=True),
        sa.Column("company_city", sa.Text(), nullable=True),
        sa.Column("company_state", sa.Text(), nullable=True),
        sa.Column("company_country", sa.Text(), nullable=True),
        sa.Column("company_phone", sa.Text(), nullable=True),
        sa.Column("seo_description", sa.Text(), nullable=True),
        sa.Column("annual_revenue", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("total_funding", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("latest_funding", sa.Text(), nullable=True),
        sa.Column("latest_funding_amount", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("last_raised_at", sa.Date(), nullable=True),
        sa.Column("subsidiary_of", sa.Text(), nullable=True),
        sa.Column("subsidiary_of_org", sa.Text(), nullable=True),
        sa.Column("email_sent", sa.Boolean(), nullable=True),
        sa.Column("email_open", sa.Boolean(), nullable=True),
        sa.Column("email_bounced", sa.Boolean(), nullable=True),
        sa.Column("replied", sa.Boolean(), nullable=True),
        sa.Column("demoed", sa.Boolean(), nullable=True),
        sa.Column("number_of_retail_locations", sa.Integer(), nullable=True),
        sa.Column("sic_codes", sa.Text(), nullable=True),
        sa.Column("naics_codes", sa.Text(), nullable=True),
        sa.Column("contact_id", sa.Text(collation="C"), nullable=True),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("apollo_record_id", sa.Text(), nullable=True),
        sa.Column("secondary_email", sa.Text(), nullable=True),
        sa.Column("secondary_email_source", sa.Text(), nullable=True),
        sa.Column("secondary_email_status", sa.Text(), nullable=True),
        sa.Column("secondary_email_verification_source", sa.Text(), nullable=True),
        sa.Column("tertiary_email", sa.Text(), nullable=True),
        sa.Column("tertiary_email_source", sa.Text(), nullable=True),
        sa.Column("tertiary_email_status", sa.Text(), nullable=True),
        sa.Column("tertiary_email_verification_source", sa.Text(), nullable=True),
        sa.Column("user_managed", sa.Boolean(), nullable=True),
        sa.Column("primary_intent_topic", sa.Text(), nullable=True),
        sa.Column("primary_intent_score", sa.Numeric(precision=9, scale=3), nullable=True),
        sa.Column("secondary_intent_topic", sa.Text(), nullable=True),
        sa.Column("secondary_intent_score", sa.Numeric(precision=9, scale=3), nullable=True),
        sa.Column("extra", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("linkedin_slug", sa.Text(collation="C"), nullable=True),
        sa.Column("name_company", sa.Text(collation="C"), nullable=True),
        sa.Column("row_hash", sa.BigInteger(), nullable=True),
        sa.Column("created_by_import", sa.Text(), nullable=False),
        sa.Column("updated_by_import", sa.Text(), nullable=True),
        sa.Column("updated_by_upload_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("version", name=op.f("contact_versions_pkey")),
    )
    op.create_index(
        "contact_versions_replaced_by_import", "contact_versions", ["replaced_by_import", "key"], unique=False
    )
    op.create_table(
        "contacts",
        sa.Column("key", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("seniority", sa.Text(), nullable=True),
        sa.Column("departments", sa.Text(), nullable=True),
        sa.Column("sub_departments", sa.Text(), nullable=True),
        sa.Column("company", sa.Text(), nullable=True),
        sa.Column("company_name_for_emails", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(collation="C"), nullable=True),
        sa.Column("email_status", sa.Text(), nullable=True),
        sa.Column("primary_email_source", sa.Text(), nullable=True),
        sa.Column("primary_email_verification_source", sa.Text(), nullable=True),
        sa.Column("email_confidence", sa.Numeric(precision=9, scale=3), nullable=True),
        sa.Column("primary_email_catch_all_status", sa.Text(), nullable=True),
        sa.Column("primary_email_last_verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("work_direct_phone", sa.Text(), nullable=True),
        sa.Column("home_phone", sa.Text(), nullable=True),
        sa.Column("mobile_phone", sa.Text(), nullable=True),
        sa.Column("corporate_phone", sa.Text(), nullable=True),
        sa.Column("other_phone", sa.Text(), nullable=True),
        sa.Column("first_phone", sa.Text(), nullable=True),
        sa.Column("do_not_call", sa.Boolean(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("lists", sa.Text(), nullable=True),
        sa.Column("contact_owner", sa.Text(), nullable=True),
        sa.Column("account_owner", sa.Text(), nullable=True),
        sa.Column("last_contacted", sa.DateTime(timezone=True), nullable=True),
        sa.Column("employees", sa.Integer(), nullable=True),
        sa.Column("industry", sa.Text(), nullable=True),
        sa.Column("keywords", sa.Text(), nullable=True),
        sa.Column("technologies", sa.Text(), nullable=True),
        sa.Column("person_linkedin_url", sa.Text(), nullable=True),
        sa.Column("website", sa.Text(), nullable=True),
        sa.Column("company_linkedin_url", sa.Text(), nullable=True),
        sa.Column("facebook_url", sa.Text(), nullable=True),
        sa.Column("twitter_url", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("company_address", sa.Text(), nullable=True),
        sa.Column("company_city", sa.Text(), nullable=True),
        sa.Column("company_state", sa.Text(), nullable=True),
        sa.Column("company_country", sa.Text(), nullable=True),
        sa.Column("company_phone", sa.Text(), nullable=True),
        sa.Column("seo_description", sa.Text(), nullable=True),
        sa.Column("annual_revenue", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("total_funding", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("latest_funding", sa.Text(), nullable=True),
        sa.Column("latest_funding_amount", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("last_raised_at", sa.Date(), nullable=True),
        sa.Column("subsidiary_of", sa.Text(), nullable=True),
        sa.Column("subsidiary_of_org", sa.Text(), nullable=True),
        sa.Column("email_sent", sa.Boolean(), nullable=True),
        sa.Column("email_open", sa.Boolean(), nullable=True),
        sa.Column("email_bounced", sa.Boolean(), nullable=True),
        sa.Column("replied", sa.Boolean(), nullable=True),
        sa.Column("demoed", sa.Boolean(), nullable=True),
        sa.Column("number_of_retail_locations", sa.Integer(), nullable=True),
        sa.Column("sic_codes", sa.Text(), nullable=True),
        sa.Column("naics_codes", sa.Text(), nullable=True),
        sa.Column("contact_id", sa.Text(collation="C"), nullable=True),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("apollo_record_id", sa.Text(), nullable=True),
        sa.Column("secondary_email", sa.Text(), nullable=True),
        sa.Column("secondary_email_source", sa.Text(), nullable=True),
        sa.Column("secondary_email_status", sa.Text(), nullable=True),
        sa.Column("secondary_email_verification_source", sa.Text(), nullable=True),
        sa.Column("tertiary_email", sa.Text(), nullable=True),
        sa.Column("tertiary_email_source", sa.Text(), nullable=True),
        sa.Column("tertiary_email_status", sa.Text(), nullable=True),
        sa.Column("tertiary_email_verification_source", sa.Text(), nullable=True),
        sa.Column("user_managed", sa.Boolean(), nullable=True),
        sa.Column("primary_intent_topic", sa.Text(), nullable=True),
        sa.Column("primary_intent_score", sa.Numeric(precision=9, scale=3), nullable=True),
        sa.Column("secondary_intent_topic", sa.Text(), nullable=True),
        sa.Column("secondary_intent_score", sa.Numeric(precision=9, scale=3), nullable=True),
        sa.Column("extra", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("linkedin_slug", sa.Text(collation="C"), nullable=True),
        sa.Column("name_company", sa.Text(collation="C"), nullable=True),
        sa.Column("row_hash", sa.BigInteger(), nullable=True),
        sa.Column("created_by_import", sa.Text(), nullable=False),
        sa.Column("updated_by_import", sa.Text(), nullable=True),
        sa.Column("updated_by_upload_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("contacts_pkey")),
    )
    op.create_index(
        "contacts_email", "contacts", ["email"], unique=False, postgresql_where=sa.text("email IS NOT NULL")
    )
    op.create_index(
        "contacts_email_without_id",
        "contacts",
        ["email"],
        unique=True,
        postgresql_where=sa.text("contact_id IS NULL AND email IS NOT NULL"),
    )
    op.create_index(
        "contacts_linkedin_slug",
        "contacts",
        ["linkedin_slug"],
        unique=False,
        postgresql_where=sa.text("linkedin_slug IS NOT NULL"),
    )
    op.create_index(
        "contacts_linkedin_slug_without_id",
        "contacts",
        ["linkedin_slug"],
        unique=False,
        postgresql_where=sa.text("contact_id IS NULL AND linkedin_slug IS NOT NULL"),
    )
    op.create_index(
        "contacts_name_company",
        "contacts",
        ["name_company"],
        unique=False,
        postgresql_where=sa.text("name_company IS NOT NULL"),
    )
    op.create_index(
        "contacts_name_company_only",
        "contacts",
        ["name_company"],
        unique=False,
        postgresql_where=sa.text("contact_id IS NULL AND email IS NULL AND linkedin_slug IS NULL"),
    )
    op.create_index(
        "contacts_source_contact_id",
        "contacts",
        ["source", "contact_id"],
        unique=True,
        postgresql_where=sa.text("contact_id IS NOT NULL"),
    )
    op.create_table(
        "import_events",
        sa.Column("event", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("upload_id", sa.Text(), nullable=False),
        sa.Column(
            "happened_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("event", name=op.f("import_events_pkey")),
    )
    op.create_index("import_events_upload_id", "import_events", ["upload_id"], unique=False)
    op.create_table(
        "imports",
        sa.Column("upload_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("dialect", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("mapping", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("total_rows", sa.BigInteger(), nullable=True),
        sa.Column("inserted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("updated", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unchanged", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("duplicate_in_file", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rejected", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("warnings", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("timings", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'loading', 'verifying', 'succeeded', 'failed', 'cancelled', 'undoing', 'undone', 'checked')",
            name=op.f("imports_state"),
        ),
        sa.PrimaryKeyConstraint("upload_id", name=op.f("imports_pkey")),
    )
    op.create_index("imports_object_key_etag", "imports", ["object_key", "etag"], unique=True)
    op.create_index("imports_owner", "imports", ["owner", "created_at"], unique=False)
    op.create_index("imports_state", "imports", ["state", "created_at"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("message", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("upload_id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("message", name=op.f("outbox_pkey")),
    )
    op.create_table(
        "import_chunks",
        sa.Column("upload_id", sa.Text(), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("first_row", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("first_line", sa.BigInteger(), nullable=False),
        sa.Column("end_line", sa.BigInteger(), nullable=False),
        sa.Column("begin_offset", sa.BigInteger(), nullable=False),
        sa.Column("end_offset", sa.BigInteger(), nullable=False),
        sa.Column("inserted", sa.Integer(), server_default="0", nullable=False),
        sa.Column("updated", sa.Integer(), server_default="0", nullable=False),
        sa.Column("unchanged", sa.Integer(), server_default="0", nullable=False),
        sa.Column("duplicate_in_file", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rejected", sa.Integer(), server_default="0", nullable=False),
        sa.Column("warnings", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("committed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "rows = inserted + updated + unchanged + duplicate_in_file + rejected",
            name=op.f("import_chunks_every_row_accounted_for"),
        ),
        sa.ForeignKeyConstraint(["upload_id"], ["imports.upload_id"], name=op.f("import_chunks_upload_id_fkey")),
        sa.PrimaryKeyConstraint("upload_id", "chunk", name=op.f("import_chunks_pkey")),
    )
    op.create_table(
        "rejected_rows",
        sa.Column("upload_id", sa.Text(), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("codes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("columns", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["imports.upload_id"], name=op.f("rejected_rows_upload_id_fkey")),
        sa.PrimaryKeyConstraint("upload_id", "row", name=op.f("rejected_rows_pkey")),
    )
    op.execute(_FORBID_CHANGE)


def downgrade() -> None:
    op.drop_table("rejected_rows")
    op.drop_table("import_chunks")
    op.drop_table("outbox")
    op.drop_index("imports_state", table_name="imports")
    op.drop_index("imports_owner", table_name="imports")
    op.drop_index("imports_object_key_etag", table_name="imports")
    op.drop_table("imports")
    op.drop_index("import_events_upload_id", table_name="import_events")
    op.drop_table("import_events")
    op.drop_index(
        "contacts_source_contact_id", table_name="contacts", postgresql_where=sa.text("contact_id IS NOT NULL")
    )
    op.drop_index(
        "contacts_name_company_only",
        table_name="contacts",
        postgresql_where=sa.text("contact_id IS NULL AND email IS NULL AND linkedin_slug IS NULL"),
    )
    op.drop_index("contacts_name_company", table_name="contacts", postgresql_where=sa.text("name_company IS NOT NULL"))
    op.drop_index(
        "contacts_linkedin_slug_without_id",
        table_name="contacts",
        postgresql_where=sa.text("contact_id IS NULL AND linkedin_slug IS NOT NULL"),
    )
    op.drop_index(
        "contacts_linkedin_slug", table_name="contacts", postgresql_where=sa.text("linkedin_slug IS NOT NULL")
    )
    op.drop_index(
        "contacts_email_without_id",
        table_name="contacts",
        postgresql_where=sa.text("contact_id IS NULL AND email IS NOT NULL"),
    )
    op.drop_index("contacts_email", table_name="contacts", postgresql_where=sa.text("email IS NOT NULL"))
    op.drop_table("contacts")
    op.drop_index("contact_versions_replaced_by_import", table_name="contact_versions")
    op.drop_table("contact_versions")
    op.execute("DROP FUNCTION import_events_are_append_only")

"""What a contact is: its fields, how values are cleaned and checked, what identifies it. Pure: no I/O, no Dagster."""

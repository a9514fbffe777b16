"""Rows of the database from flow records: redacted, packed, in texts that databases accept."""

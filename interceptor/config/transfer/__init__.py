"""Import and export between `ccproxy.yaml` and the database.

`database` also creates and migrates the database, so that no command needs a step before it.
"""

"""Configuration: files, transfer to and from the database, the running snapshot.

The rooms import each other in one direction: snapshot, transfer, files.
"""

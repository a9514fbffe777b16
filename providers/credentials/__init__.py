"""Credentials with Django: the rows behind `providers.auth`, and the pages that manage them.

handle, stored_logins  a provider's row as the request path's handle; logins with shared memory
shared_state           the rows and locks that processes and machines share
lent_logins            rows that the recorder holds for a proxy without a database
board, actions         the page that lists all credentials, and its buttons
reveal                 the page that shows a stored secret once, after the password
key_rotation           a new key for every encrypted column
"""

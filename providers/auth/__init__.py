"""Credentials on the request path: from a source's configuration to a header. No Django.

base, oauth_kinds      sources as frozen configuration
sentinel               the keys that clients send instead of a credential
resolve, sources       commands, files and stored keys, read once for all that ask
logins, renewal        OAuth logins, renewed once however many processes need them
login_files, oauth, oauth_file, token_endpoint
                       the file of a login, the request that renews it, and its response
refresh_lock           the lock and the memory that processes share
refresh_settings       limits and proxies of renewals, from the server settings
proactive              renewal before a request needs it
browser_login          a new login with the browser; only the command loads it
registry               every secret that was resolved, for redaction
"""

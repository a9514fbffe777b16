"""Secret removal from everything that is stored, logged or shown.

Holds the redactor and its searches: by name (headers, query parameters, JSON fields) and by value
(the scanner). May import `flows.bytes`, `flows.record` and `providers.auth`; import-linter refuses
Django and mitmproxy here.
"""

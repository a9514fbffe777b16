"""Pure functions over bytes: decode content encodings, compare, hash, compress.

Holds nothing about flows, secrets or the database. May import the standard library and codecs
(brotli, orjson, zstandard), nothing else of this project; import-linter refuses Django here.
"""

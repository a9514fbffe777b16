"""Transport of records from a proxy to the process that stores them, through shared memory. Pure.

Holds the ring, the encoding of records, the proxy's sink and the order of commits. May import
`flows.record` alone.
"""

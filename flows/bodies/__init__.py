"""Storage of bodies: packing alone or against an earlier body, and loading them again.

`packer`, `packed_body`, `delta_chain` and `recent_bodies` are pure and work for the writer;
`store` and `complete_flow` read the database. May import `flows.models`, `flows.sides`,
`flows.redaction`, `flows.record` and `flows.bytes`.
"""

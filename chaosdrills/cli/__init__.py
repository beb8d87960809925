"""Commands: `chaosdrills ...`, and the same program as `chaos drills ...`.

Parsing, printing and exit statuses only (0 met or done, 1 missed, 2 unknown, 64 usage, 69 unavailable, 70 internal,
130 interrupted). Loaded at every call of `chaos`, so heavy imports happen inside commands. Nothing imports this room.
"""

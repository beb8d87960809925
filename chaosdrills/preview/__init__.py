"""Preview: what a drill would do now, before anybody runs it.

An experiment is loaded and resolved as ``chaos run`` does (configuration, environment, ``--var``, secrets), and its
cluster is asked what its faults would hit at this moment. Nothing is injected, started, locked or written; what only
the running drill can tell is said in words; no secret is shown. `loading` alone imports chaoslib.
"""

"""This machine: where state lies, how files are written safely, how processes are started, identified and ended.

Below the rooms that do things (observe, faults, lab) and beside the pure core, because both `faults` and `lab` need it
and neither may import the other. Nothing here knows a service, a drill or the Chaos Toolkit. A process is only ever
signalled by its identity (pid *and* start time), never by name.
"""

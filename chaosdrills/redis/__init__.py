"""Redis and Valkey, alone or under Sentinel: client, workloads, roles, and activities for experiments.

`client` is the only module that imports redis-py and hiredis: redis-py makes connections (names, TLS, who we are),
hiredis reads and writes the protocol, so that the load waits for no answer. Nothing here starts or stops a server
(that is `faults` on a node that `lab` wrote down), touches a key that does not begin with the drill's own prefix, or
imports another service or the lab.
"""

"""PostgreSQL and TimescaleDB: their client, the drill's workload, roles of nodes, and activities for experiments.

`client` is the only module that imports psycopg, and uses libpq through it without blocking. Patroni is spoken to over
its REST interface (`patroni`), with nothing but the standard library. `actions` and `probes` are thin: arguments, one
call, a flat dict. Nothing here starts or stops a server itself (that is `faults` on a node that `lab` wrote down), and
nothing here imports another service or the lab.
"""

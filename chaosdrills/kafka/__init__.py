"""Apache Kafka: its client, the drill's workload, roles of brokers, and activities for experiments.

`client` is the only module that imports confluent-kafka. `actions` and `probes` are thin: arguments, one call, a flat
dict. Nothing here starts or stops a process itself (that is `faults` on a node that `lab` wrote down), and nothing
here imports another service or the lab.
"""

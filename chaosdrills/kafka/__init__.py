"""Apache Kafka: its client, the drill's workload, roles of brokers, and activities for experiments.

`client` is the only module that imports confluent-kafka, `quorum` the only one that imports kafka-python. `actions` and
`probes` are thin: arguments, one call, a flat dict. Nothing here starts or stops a broker itself (that is `faults` on a
node that `lab` wrote down); `consumers` starts and ends the processes of the drill's own consumer group. Nothing here
imports another service or the lab.
"""

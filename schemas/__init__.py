"""The contract as data: topics.yaml, one Avro schema a record and version, examples."""

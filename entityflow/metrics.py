"""The one list of metrics. Base units; counters end in `_total` on the wire; no address or entity in a label."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

# counter: records taken from the broker by a stage
CONSUMED = Counter("entityflow_consumed", "Records taken from the broker", ["service", "topic"])
# counter: records acknowledged by the broker
PRODUCED = Counter("entityflow_produced", "Records acknowledged by the broker", ["service", "topic"])
# counter: records that went to a dead-letter topic, by reason
DEAD_LETTERS = Counter("entityflow_dead_letters", "Records that became dead letters", ["service", "topic", "reason"])
# counter: attempts that ended in Retryable, by reason
RETRIES = Counter("entityflow_retries", "Attempts that will be made again", ["service", "topic", "reason"])
# counter: records skipped because their offsets were gone and --accept-loss was given
SKIPPED = Counter("entityflow_skipped", "Records lost to retention and skipped on request", ["service", "topic"])
# counter: partitions and topics whose loss was accepted, however many records it was
LOSSES = Counter("entityflow_losses_accepted", "Losses that were gone on from on request", ["service", "topic"])
# histogram: from taking a record to the acknowledgement of all it led to, in seconds
STEP_SECONDS = Histogram(
    "entityflow_step_seconds",
    "From taking a record to the acknowledgement of its results",
    ["service", "topic"],
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
# gauge: records taken and not finished
IN_FLIGHT_RECORDS = Gauge("entityflow_in_flight_records", "Records taken and not finished", ["service", "topic"])
# gauge: their bytes
IN_FLIGHT_BYTES = Gauge("entityflow_in_flight_bytes", "Bytes of records taken and not finished", ["service", "topic"])
# gauge: partitions that this process owns
ASSIGNED = Gauge("entityflow_assigned_partitions", "Partitions owned", ["service", "topic"])
# counter: assignments and revocations
REBALANCES = Counter("entityflow_rebalances", "Assignments and revocations of partitions", ["service", "topic"])
# gauge: 1 while a stage takes no input because a group below it is too far behind
GUARDED = Gauge("entityflow_guarded", "1 while input waits for a group below", ["service", "topic"])
# counter: candidates that ended, by result (accepted, merged, or a reason)
OUTCOMES = Counter("entityflow_outcomes", "Candidates that ended", ["service", "result"])
# counter: what the index answered: canonical, copy or unknown
INDEX_VERDICTS = Counter("entityflow_index_verdicts", "Answers of the index", ["verdict"])
# counter: canonicals that found one of their rows full, so that a later copy of them may be missed
INDEX_HOT_ROWS = Counter("entityflow_index_hot_key", "Entries that found their row full")
# counter: pictures too plain to be compared with others
FILTER_LOW_DETAIL = Counter("entityflow_filter_low_detail", "Pictures known by their image_id only")
# counter: texts that were dropped, by reason
FILTER_TEXTS_DROPPED = Counter("entityflow_filter_texts_dropped", "Texts dropped", ["reason"])
# counter: fingerprints that were asked again because no answer came
FILTER_ASKED_AGAIN = Counter("entityflow_filter_asked_again", "Fingerprints sent again without an answer")
# histogram: looking up the name of a host, in seconds
LOOKUP_SECONDS = Histogram(
    "entityflow_lookup_seconds", "Looking up a name", buckets=(0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30)
)
# histogram: a part of a visit (wait for the host's turn, robots, request, decode), in seconds
FETCH_SECONDS = Histogram(
    "entityflow_fetch_seconds",
    "A part of fetching one address",
    ["part"],
    buckets=(0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 60),
)
# counter: bytes of bodies
FETCH_BYTES = Counter("entityflow_fetch_bytes", "Bytes of bodies that came")
# counter: answers by class of status: 2xx, 3xx, 4xx, 429, 5xx
FETCH_ANSWERS = Counter("entityflow_fetch_answers", "Answers by class of status", ["status"])
# counter: refusals by who spoke: robots (robots.txt), answer (headers, tdmrep.json), list (ours, opt-out)
FETCH_DENIALS = Counter("entityflow_fetch_denials", "Addresses that permission was refused for", ["signal"])
# counter: candidates put into a retry topic because their host is not free soon
FETCH_PARKED = Counter("entityflow_fetch_parked", "Candidates that wait in a retry topic", ["topic"])
# counter: bodies on a list of known-bad hashes; they are never decoded or stored
FETCH_KNOWN_BAD = Counter("entityflow_fetch_known_bad", "Bodies on the list of bad hashes")
# gauge: hosts by state: known, waiting (with candidates in a queue), blocked (asked us to stay away, or in trouble)
FETCH_HOSTS = Gauge("entityflow_fetch_hosts", "Hosts by state", ["state"])
# gauge: candidates that wait for the turn of their host in this process
FETCH_WAITING = Gauge("entityflow_fetch_waiting", "Candidates that wait for their host")
# counter: processor time of decoders, in seconds
DECODER_SECONDS = Counter("entityflow_decoder_cpu_seconds", "Processor time of decoders")
# counter: decoders that were lost, by reason (decoder-crashed, decoder-timeout)
DECODERS_LOST = Counter("entityflow_decoders_lost", "Decoders that died or hung", ["reason"])
# counter: pages of search results, asked of the provider or found kept in the bucket
SEARCH_REQUESTS = Counter("entityflow_search_requests", "Pages of search results", ["provider", "source"])
# counter: questions that a provider was not asked, by why: spent (a cap is reached), quota (it asks to wait), away
SEARCHES_LEFT_OUT = Counter("entityflow_searches_left_out", "Questions not asked of a provider", ["provider", "why"])
# counter: queries that led to no candidate at all, by kind of query
EMPTY_SEARCHES = Counter("entityflow_empty_searches", "Queries without a candidate", ["kind"])
# counter: steps of training that this process took
TRAINER_STEPS = Counter("entityflow_trainer_steps", "Steps of training")
# counter: samples drawn by all processes of the run together
TRAINER_SAMPLES = Counter("entityflow_trainer_samples", "Samples drawn for training")
# gauge: contrastive loss of the last step
TRAINER_LOSS = Gauge("entityflow_trainer_loss", "Loss of the last step")
# gauge: share of the time that steps waited for decoded pictures
TRAINER_DATA_WAIT = Gauge("entityflow_trainer_data_wait", "Share of the time spent waiting for pictures")
# gauge: what the last checkpoint took in the store
TRAINER_CHECKPOINT_BYTES = Gauge("entityflow_trainer_checkpoint_bytes", "Bytes of the last checkpoint")
# gauge: how long the last checkpoint took to be written, while training went on
TRAINER_CHECKPOINT_SECONDS = Gauge("entityflow_trainer_checkpoint_seconds", "Seconds the last checkpoint took")
# counter: shards that cannot be trained on, by reason
TRAINER_LOST_SHARDS = Counter("entityflow_trainer_lost_shards", "Shards that cannot be trained on", ["reason"])
# counter: manifests that were there already and say something else
SHARD_CONFLICTS = Counter("entityflow_shard_conflicts", "Manifests that differ from the one that was there")
# gauge: bytes of open shards on the local disk
SHARDER_SPOOL_BYTES = Gauge("entityflow_sharder_spool_bytes", "Bytes of open shards on the local disk")
# counter: open shards that had no room on the disk, so that their range was read twice
SHARDER_READ_AGAIN = Counter("entityflow_sharder_read_again", "Ranges read a second time for want of room")

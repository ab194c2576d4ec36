"""Kafka, as the roles need it: the only package that imports confluent_kafka.

Every call that reaches a broker raises KafkaUnavailableError when there is none or it refuses us; callers close their
session, wait and begin again.
"""

from pipeline.kafka.around import AROUND_MS, AROUND_RECORDS, AroundReader, LookedAt
from pipeline.kafka.cluster import BROKER_FILE, DEMO_IDS, Cluster, find_cluster
from pipeline.kafka.config_check import check_kafka_config
from pipeline.kafka.content import ContentView, Found
from pipeline.kafka.demo.broker import DEMO_LIMITS, DemoBroker
from pipeline.kafka.group_reader import GroupReader
from pipeline.kafka.identity_watch import IdentityWatch
from pipeline.kafka.keeping import TopicKeeping
from pipeline.kafka.messages import Fetched, PartitionKey
from pipeline.kafka.newest import SAMPLE_RECORDS, Newest, TopicLook, look_at_topics, newest_records
from pipeline.kafka.partition_reader import PartitionReader, ends, records_since
from pipeline.kafka.reader import Gap, Reader
from pipeline.kafka.sender import DEAD_LETTER_TIMEOUT_MS, Delivery, Sender
from pipeline.kafka.times import offsets_since, watermarks_of
from pipeline.kafka.topics import ClusterView
from pipeline.kafka.unreadable import in_one_line

__all__ = [
    "AROUND_MS",
    "AROUND_RECORDS",
    "BROKER_FILE",
    "DEAD_LETTER_TIMEOUT_MS",
    "DEMO_IDS",
    "DEMO_LIMITS",
    "SAMPLE_RECORDS",
    "AroundReader",
    "Cluster",
    "ClusterView",
    "ContentView",
    "Delivery",
    "DemoBroker",
    "Fetched",
    "Found",
    "Gap",
    "GroupReader",
    "IdentityWatch",
    "LookedAt",
    "Newest",
    "PartitionKey",
    "PartitionReader",
    "Reader",
    "Sender",
    "TopicKeeping",
    "TopicLook",
    "check_kafka_config",
    "ends",
    "find_cluster",
    "in_one_line",
    "look_at_topics",
    "newest_records",
    "offsets_since",
    "records_since",
    "watermarks_of",
]

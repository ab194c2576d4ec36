"""Every Python that starts with this folder on its path has a Kafka that tells no topic ids, while a file is there.

Brokers before 2.8 do so, and others that only speak Kafka's protocol. All else is the real cluster.
"""

import os
from pathlib import Path

if "NO_TOPIC_IDS_FILE" in os.environ:
    from pipeline.kafka.topics import ClusterView

    true_topic_id = ClusterView.topic_id
    file = Path(os.environ["NO_TOPIC_IDS_FILE"])

    def topic_id(self: ClusterView, topic: str) -> str:
        """The topic's id; none while the file is there."""
        told = true_topic_id(self, topic)
        return "" if file.exists() else told

    ClusterView.topic_id = topic_id  # type: ignore[method-assign]

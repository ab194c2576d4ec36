"""Every Python that starts with this folder on its path has a Kafka that tells no topic ids, while a file is there.

Brokers before 2.8 do so, and others that only speak Kafka's protocol. All else is the real cluster.
"""

import os
from collections.abc import Sequence
from pathlib import Path

if "NO_TOPIC_IDS_FILE" in os.environ:
    from pipeline.kafka.topics import ClusterView

    true_topic_ids = ClusterView.topic_ids
    file = Path(os.environ["NO_TOPIC_IDS_FILE"])

    def topic_ids(self: ClusterView, topics: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        """The topics' ids; none while the file is there."""
        told, missing = true_topic_ids(self, topics)
        return dict.fromkeys(told, "") if file.exists() else told, missing

    ClusterView.topic_ids = topic_ids  # type: ignore[method-assign]

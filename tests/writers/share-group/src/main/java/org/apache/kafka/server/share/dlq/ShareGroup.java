package org.apache.kafka.server.share.dlq;

import static orderpulse.writers.Recording.bytes;

import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import orderpulse.writers.Recording;
import org.apache.kafka.clients.KafkaClient;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.server.share.LogReader;
import org.apache.kafka.server.share.metrics.ShareGroupMetrics;
import org.apache.kafka.server.util.timer.SystemTimer;
import org.apache.kafka.storage.internals.log.FetchDataInfo;
import org.apache.kafka.storage.internals.log.LogOffsetMetadata;
import org.apache.kafka.storage.internals.log.LogReadResult;

/** Dead letters that a broker writes for a share group. In its package: the writing class is not public. */
public final class ShareGroup {
    private static final String DEAD_LETTERS = "shippers-dlt";
    private static final Node LEADER = new Node(1, "127.0.0.1", 1);
    private static final TopicIdPartition ORDERS = new TopicIdPartition(Uuid.randomUuid(), 3, "orders");

    private final Recording recording;
    private final SystemTimer timer;
    private final ShareGroupMetrics metrics;

    private ShareGroup(Recording recording, SystemTimer timer, ShareGroupMetrics metrics) {
        this.recording = recording;
        this.timer = timer;
        this.metrics = metrics;
    }

    public static void main(String[] arguments) throws Exception {
        Recording recording = new Recording(arguments[0]);
        Throwable rejected = new ShareGroupDLQManager.ShareGroupDLQThrowable("rejected by a client");
        try (SystemTimer timer = new SystemTimer("writer");
                ShareGroupMetrics metrics = new ShareGroupMetrics(Time.SYSTEM)) {
            ShareGroup writer = new ShareGroup(recording, timer, metrics);
            writer.add("without-body", false, 417, Optional.of(rejected));
            writer.add("with-body", true, 418, Optional.of(rejected));
            writer.add("without-reason", false, 419, Optional.empty());
        }
        recording.write();
    }

    private void add(String name, boolean withBody, long offset, Optional<Throwable> cause) throws Exception {
        ShareGroupDLQStateManager manager = new ShareGroupDLQStateManager(
                nowhere(), new Metadata(withBody), Time.SYSTEM, timer, metrics, log(offset));
        ShareGroupDLQStateManager.ProduceRequestHandler handler = manager.new ProduceRequestHandler(
                new ShareGroupDLQRecordParameter("shippers", ORDERS, offset, offset, Optional.of((short) 5), cause),
                new CompletableFuture<>(), 1_000, 30_000, 5);
        handler.populateDLQTopicData();
        handler.resolveRound().get();
        MemoryRecords records =
                (MemoryRecords) handler.topicProduceData().partitionData().get(0).records();
        for (Record dead : records.records()) {
            recording.add(name, DEAD_LETTERS, null, dead.timestamp(), copy(dead.key()), copy(dead.value()),
                    List.of(dead.headers()));
        }
    }

    /** A client of a broker that is never asked: nothing is sent here. */
    private static KafkaClient nowhere() {
        return (KafkaClient) Proxy.newProxyInstance(ShareGroup.class.getClassLoader(),
                new Class<?>[] {KafkaClient.class}, (proxy, method, arguments) -> {
                    throw new UnsupportedOperationException(method.getName());
                });
    }

    /** The log of the source topic, with one record. */
    private static LogReader log(long offset) {
        Header[] headers = {new RecordHeader("trace", new byte[] {(byte) 0xff, 0})};
        MemoryRecords records = MemoryRecords.withRecords(offset, Compression.NONE,
                new SimpleRecord(Recording.SOURCE_TIMESTAMP_MS, bytes("C-1"), bytes("an order"), headers));
        LogReadResult result = new LogReadResult(new FetchDataInfo(new LogOffsetMetadata(offset), records),
                Optional.empty(), offset + 1, 0, offset + 1, 0, 0, OptionalLong.empty(), Errors.NONE);
        return (parameters, partitions, offsets, maxBytes, other) -> {
            LinkedHashMap<TopicIdPartition, LogReadResult> read = new LinkedHashMap<>();
            read.put(ORDERS, result);
            return CompletableFuture.completedFuture(read);
        };
    }

    private static byte[] copy(ByteBuffer buffer) {
        if (buffer == null) {
            return null;
        }
        byte[] copied = new byte[buffer.remaining()];
        buffer.get(copied);
        return copied;
    }

    /** What the broker knows of its topics and groups. */
    private record Metadata(boolean withBody) implements ShareGroupDLQMetadataCacheHelper {
        @Override
        public Optional<String> shareGroupDlqTopic(String group) {
            return Optional.of(DEAD_LETTERS);
        }

        @Override
        public boolean isDlqEnabledOnTopic(String topic) {
            return true;
        }

        @Override
        public boolean isDlqAutoTopicCreateEnabled() {
            return false;
        }

        @Override
        public Optional<String> shareGroupDlqTopicPrefix() {
            return Optional.empty();
        }

        @Override
        public boolean isShareGroupDlqCopyRecordEnabled(String group) {
            return withBody;
        }

        @Override
        public boolean containsTopic(String topic) {
            return true;
        }

        @Override
        public int dlqTopicMaxMessageBytes(String topic) {
            return 1 << 20;
        }

        @Override
        public List<Node> getClusterNodes() {
            return List.of(LEADER);
        }

        @Override
        public Optional<String> topicName(Uuid topicId) {
            return Optional.of(ORDERS.topic());
        }

        @Override
        public TopicPartitionData topicPartitionData(String topic) {
            return new TopicPartitionData(topic, Optional.of(1), Optional.of(Uuid.randomUuid()), List.of(LEADER));
        }
    }
}

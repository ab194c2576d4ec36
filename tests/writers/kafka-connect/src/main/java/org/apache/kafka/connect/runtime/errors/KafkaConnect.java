package org.apache.kafka.connect.runtime.errors;

import static orderpulse.writers.Recording.bytes;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import orderpulse.writers.Recording;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.runtime.ConnectMetrics;
import org.apache.kafka.connect.runtime.SinkConnectorConfig;
import org.apache.kafka.connect.runtime.isolation.Plugins;
import org.apache.kafka.connect.runtime.standalone.StandaloneConfig;
import org.apache.kafka.connect.util.ConnectorTaskId;

/** Dead letters of Kafka Connect's DeadLetterQueueReporter. In its package: the constructor is not public. */
public final class KafkaConnect {
    private static final ConnectorTaskId TASK = new ConnectorTaskId("warehouse", 2);

    public static void main(String[] arguments) throws Exception {
        Recording recording = new Recording(arguments[0]);
        DataException failure = new DataException("Converting byte[] to Kafka Connect data failed");
        ProducerRecord<byte[], byte[]> dead = dead(true, 417, new RecordHeaders(), failure);
        recording.add("with-context", dead);
        recording.add("null-message", dead(true, 418, new RecordHeaders(), new NullPointerException()));
        recording.add("without-context", dead(false, 419, new RecordHeaders(), failure));
        recording.add("failed-twice", dead(true, 900, dead.headers(), new NullPointerException()));
        recording.write();
    }

    /** What the reporter sends. */
    private static ProducerRecord<byte[], byte[]> dead(
            boolean contextHeaders, long offset, Headers headers, Throwable failure) throws Exception {
        ProcessingContext<ConsumerRecord<byte[], byte[]>> context =
                new ProcessingContext<>(new ConsumerRecord<>("orders", 3, offset, Recording.SOURCE_TIMESTAMP_MS,
                        TimestampType.CREATE_TIME, 3, 8, bytes("C-1"), bytes("an order"), headers, Optional.empty()));
        context.currentContext(Stage.VALUE_CONVERTER, JsonConverter.class);
        context.error(failure);
        try (KeepingProducer producer = new KeepingProducer()) {
            new DeadLetterQueueReporter(producer, configuration(contextHeaders), TASK, metrics()).report(context);
            return producer.sent.get(0);
        }
    }

    private static SinkConnectorConfig configuration(boolean contextHeaders) {
        Map<String, String> properties = new HashMap<>();
        properties.put("name", "warehouse");
        properties.put("connector.class", "Warehouse");
        properties.put("topics", "orders");
        properties.put("errors.tolerance", "all");
        properties.put(SinkConnectorConfig.DLQ_TOPIC_NAME_CONFIG, "warehouse-dlt");
        properties.put(SinkConnectorConfig.DLQ_CONTEXT_HEADERS_ENABLE_CONFIG, Boolean.toString(contextHeaders));
        return new SinkConnectorConfig(new Plugins(Map.of()), properties);
    }

    private static ErrorHandlingMetrics metrics() {
        Map<String, String> worker = Map.of(
                "bootstrap.servers", KeepingProducer.NOWHERE,
                "key.converter", JsonConverter.class.getName(),
                "value.converter", JsonConverter.class.getName(),
                "offset.storage.file.filename", "unused");
        return new ErrorHandlingMetrics(
                TASK, new ConnectMetrics("worker", new StandaloneConfig(worker), Time.SYSTEM, "cluster"));
    }

    /** The reporter takes no other producer than a KafkaProducer; this one sends nothing. */
    private static final class KeepingProducer extends KafkaProducer<byte[], byte[]> {
        static final String NOWHERE = "127.0.0.1:1";
        final List<ProducerRecord<byte[], byte[]>> sent = new ArrayList<>();

        KeepingProducer() {
            super(Map.of("bootstrap.servers", NOWHERE), new ByteArraySerializer(), new ByteArraySerializer());
        }

        @Override
        public Future<RecordMetadata> send(ProducerRecord<byte[], byte[]> record, Callback callback) {
            sent.add(record);
            return CompletableFuture.completedFuture(
                    new RecordMetadata(new TopicPartition(record.topic(), 0), 0, 0, 0, 0, 0));
        }
    }
}

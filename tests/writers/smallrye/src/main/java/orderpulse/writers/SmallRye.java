package orderpulse.writers;

import static orderpulse.writers.Recording.bytes;

import io.smallrye.config.PropertiesConfigSource;
import io.smallrye.config.SmallRyeConfigBuilder;
import io.smallrye.mutiny.operators.multi.processors.UnicastProcessor;
import io.smallrye.reactive.messaging.kafka.DeserializationFailureHandler;
import io.smallrye.reactive.messaging.kafka.IncomingKafkaRecord;
import io.smallrye.reactive.messaging.kafka.KafkaConnectorIncomingConfiguration;
import io.smallrye.reactive.messaging.kafka.fault.KafkaDeadLetterQueue;
import io.smallrye.reactive.messaging.kafka.fault.KafkaDelayedRetryTopic;
import io.smallrye.reactive.messaging.kafka.fault.KafkaFailureHandler;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.eclipse.microprofile.reactive.messaging.Message;
import org.eclipse.microprofile.reactive.messaging.Metadata;

/** Dead letters of SmallRye Reactive Messaging's dead-letter queue and of its delayed retry topics. */
public final class SmallRye {
    private static final String DEAD_LETTERS = "orders-in-dlt";
    private static final long RETRY_TIMEOUT_MS = 120_000;
    private static final Map<String, String> SETTINGS =
            Map.of("channel-name", "orders-in", "value.deserializer", ByteArrayDeserializer.class.getName());
    private static final KafkaConnectorIncomingConfiguration CONFIGURATION =
            new KafkaConnectorIncomingConfiguration(new SmallRyeConfigBuilder()
                    .withSources(new PropertiesConfigSource(SETTINGS, "writer", 100))
                    .build());

    private final UnicastProcessor<Message<?>> outgoing = UnicastProcessor.create();
    private final List<ProducerRecord<byte[], byte[]>> sent = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        Recording recording = new Recording(arguments[0]);
        Exception failure = new IllegalStateException("no stock", new NullPointerException("stock"));
        ProducerRecord<byte[], byte[]> dead =
                new SmallRye().deadLetter(record("orders", 3, 417, new RecordHeaders()), failure);
        recording.add("dead-letter", dead);
        recording.add("failed-twice", new SmallRye().deadLetter(
                record("orders", 3, 900, dead.headers()), new IllegalArgumentException("sold out")));
        recording.add("null-message", new SmallRye().deadLetter(
                record("orders", 3, 418, new RecordHeaders()), new IllegalStateException((String) null)));
        recording.add("not-deserialized", new SmallRye().deadLetter(undecodable(), failure));
        ProducerRecord<byte[], byte[]> first =
                new SmallRye().delayedRetry(record("orders", 3, 417, new RecordHeaders()), failure);
        recording.add("delayed-retry", first);
        // Its retry stream counts when it reads the record again.
        first.headers().remove(KafkaDelayedRetryTopic.DELAYED_RETRY_COUNT);
        first.headers().add(KafkaDelayedRetryTopic.DELAYED_RETRY_COUNT, bytes("1"));
        recording.add("delayed-retries-exhausted", new SmallRye().delayedRetry(
                record(first.topic(), 0, 2, first.headers()), new IllegalArgumentException("still no stock")));
        recording.write();
    }

    private SmallRye() {
        outgoing.subscribe().with(message -> sent.add(payload(message)));
    }

    private ProducerRecord<byte[], byte[]> deadLetter(ConsumerRecord<byte[], byte[]> record, Exception failure) {
        return handled(new KafkaDeadLetterQueue("orders-in", DEAD_LETTERS, null, outgoing), record, failure);
    }

    private ProducerRecord<byte[], byte[]> delayedRetry(ConsumerRecord<byte[], byte[]> record, Exception failure) {
        KafkaFailureHandler handler = new KafkaDelayedRetryTopic("orders-in", null, CONFIGURATION,
                List.of("orders_retry_10000"), 1, RETRY_TIMEOUT_MS, DEAD_LETTERS, outgoing, null, null);
        return handled(handler, record, failure);
    }

    private ProducerRecord<byte[], byte[]> handled(
            KafkaFailureHandler handler, ConsumerRecord<byte[], byte[]> record, Exception failure) {
        handler.handle(new IncomingKafkaRecord<>(record, "orders-in", 0, null, handler, false, false),
                failure, Metadata.empty()).subscribe().with(done -> { });
        return sent.get(0);
    }

    @SuppressWarnings("unchecked")
    private static ProducerRecord<byte[], byte[]> payload(Message<?> message) {
        return (ProducerRecord<byte[], byte[]>) message.getPayload();
    }

    private static ConsumerRecord<byte[], byte[]> undecodable() {
        Headers headers = DeserializationFailureHandler.addFailureDetailsToHeaders("OrderDeserializer", "orders", false,
                new RecordHeaders(), bytes("undecodable"), new IllegalArgumentException("not an order"));
        return new ConsumerRecord<>("orders", 3, 419, Recording.SOURCE_TIMESTAMP_MS, TimestampType.CREATE_TIME, 3, 8,
                bytes("C-1"), null, headers, Optional.empty());
    }

    private static ConsumerRecord<byte[], byte[]> record(String topic, int partition, long offset, Headers headers) {
        return new ConsumerRecord<>(topic, partition, offset, Recording.SOURCE_TIMESTAMP_MS, TimestampType.CREATE_TIME,
                3, 8, bytes("C-1"), bytes("an order"), headers, Optional.empty());
    }
}

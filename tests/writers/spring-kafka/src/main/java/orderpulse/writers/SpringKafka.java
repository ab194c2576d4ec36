package orderpulse.writers;

import static orderpulse.writers.Recording.bytes;

import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Deserializer;
import org.springframework.context.event.ContextRefreshedEvent;
import org.springframework.context.support.GenericApplicationContext;
import org.springframework.core.log.LogAccessor;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.core.ProducerFactory;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.ListenerExecutionFailedException;
import org.springframework.kafka.listener.TimestampedException;
import org.springframework.kafka.retrytopic.DeadLetterPublishingRecovererFactory;
import org.springframework.kafka.retrytopic.DefaultDestinationTopicResolver;
import org.springframework.kafka.retrytopic.DestinationTopic;
import org.springframework.kafka.retrytopic.DestinationTopicPropertiesFactory;
import org.springframework.kafka.retrytopic.DltStrategy;
import org.springframework.kafka.retrytopic.SameIntervalTopicReuseStrategy;
import org.springframework.kafka.retrytopic.TopicSuffixingStrategy;
import org.springframework.kafka.support.ExceptionMatcher;
import org.springframework.kafka.support.serializer.ErrorHandlingDeserializer;
import org.springframework.kafka.support.serializer.SerializationUtils;

/** Dead letters of Spring Kafka's DeadLetterPublishingRecoverer, of a listener and of retry topics. */
public final class SpringKafka {
    private static final LogAccessor LOG = new LogAccessor(SpringKafka.class);
    private static final String GROUP = "billing";
    private static final long NO_TIMEOUT = -1;

    private final Recording recording;
    private MockProducer<byte[], byte[]> producer;
    private final KafkaTemplate<byte[], byte[]> template = new KafkaTemplate<>(new ProducerFactory<>() {
        @Override
        public Producer<byte[], byte[]> createProducer() {
            producer = new MockProducer<>(true, null, new ByteArraySerializer(), new ByteArraySerializer());
            return producer;
        }
    });

    private SpringKafka(Recording recording) {
        this.recording = recording;
    }

    public static void main(String[] arguments) throws Exception {
        Recording recording = new Recording(arguments[0]);
        SpringKafka writer = new SpringKafka(recording);
        writer.listenerFailure();
        writer.failureOutsideAListener();
        writer.tombstone();
        writer.deserializationFailures();
        writer.retryTopics();
        recording.write();
    }

    private void listenerFailure() {
        Headers headers = new RecordHeaders(List.of(new RecordHeader("trace", new byte[] {(byte) 0xff, 0})));
        ProducerRecord<byte[], byte[]> dead = dead(recoverer(), record("orders", 3, 417, headers), listenerFailed());
        recording.add("listener-failure", dead);

        Headers replayed = new RecordHeaders(dead.headers().toArray());
        replayed.add("orderpulse.replay-id", bytes("r-1")).add("orderpulse.replay-of", bytes("d-1"));
        recording.add("replayed-and-failed-again",
                dead(recoverer(), record("orders", 1, 900, replayed), listenerFailed(new IllegalArgumentException())));
    }

    private void failureOutsideAListener() {
        recording.add("failure-outside-a-listener",
                dead(recoverer(), record("orders", 0, 5, new RecordHeaders()), new IllegalStateException("no stock")));
    }

    private void tombstone() {
        ConsumerRecord<byte[], byte[]> record = record("orders", 2, 6, null, null, new RecordHeaders());
        recording.add("tombstone", dead(recoverer(), record, listenerFailed()));
    }

    private void deserializationFailures() {
        recording.add("value-not-deserialized", dead(recoverer(), undecodable(false), decodingFailed(false)));
        recording.add("key-not-deserialized", dead(recoverer(), undecodable(true), decodingFailed(true)));
        DeadLetterPublishingRecoverer retaining = recoverer();
        retaining.setRetainExceptionHeader(true);
        recording.add("value-not-deserialized-header-retained",
                dead(retaining, undecodable(false), decodingFailed(false)));
    }

    private void retryTopics() {
        DeadLetterPublishingRecoverer recoverer = retryTopicRecoverer();
        ProducerRecord<byte[], byte[]> first =
                dead(recoverer, record("orders", 3, 417, new RecordHeaders()), timestamped());
        recording.add("retry-topic-first-failure", first);
        ProducerRecord<byte[], byte[]> second = dead(recoverer,
                record(first.topic(), 1, 7, new RecordHeaders(first.headers().toArray())), timestamped());
        recording.add("retry-topic-dead-letter", second);
    }

    /** What the recoverer sends for a record. */
    private ProducerRecord<byte[], byte[]> dead(
            DeadLetterPublishingRecoverer recoverer, ConsumerRecord<byte[], byte[]> record, Exception failure) {
        recoverer.accept(record, null, failure);
        return producer.history().get(0);
    }

    private DeadLetterPublishingRecoverer recoverer() {
        DeadLetterPublishingRecoverer recoverer = new DeadLetterPublishingRecoverer(template);
        recoverer.setVerifyPartition(false);
        return recoverer;
    }

    private DeadLetterPublishingRecoverer retryTopicRecoverer() {
        GenericApplicationContext context = new GenericApplicationContext();
        context.refresh();
        DefaultDestinationTopicResolver topics = new DefaultDestinationTopicResolver(Clock.systemUTC());
        topics.setApplicationContext(context);
        topics.addDestinationTopics("listener", properties().stream()
                .map(each -> new DestinationTopic("orders" + each.suffix(), each)).toList());
        topics.onApplicationEvent(new ContextRefreshedEvent(context));
        DeadLetterPublishingRecovererFactory factory = new DeadLetterPublishingRecovererFactory(topics);
        Consumer<DeadLetterPublishingRecoverer> withoutBroker = recoverer -> recoverer.setVerifyPartition(false);
        factory.setDeadLetterPublishingRecovererCustomizer(withoutBroker);
        return factory.create("listener");
    }

    /** One retry topic between the main topic and the dead-letter topic. */
    private List<DestinationTopic.Properties> properties() {
        return new DestinationTopicPropertiesFactory("-retry", "-dlt", List.of(1_000L),
                ExceptionMatcher.defaultMatcher(), 3, template, DltStrategy.ALWAYS_RETRY_ON_ERROR,
                TopicSuffixingStrategy.SUFFIX_WITH_DELAY_VALUE, SameIntervalTopicReuseStrategy.MULTIPLE_TOPICS,
                NO_TIMEOUT, Map.of()).createProperties();
    }

    private static ConsumerRecord<byte[], byte[]> record(String topic, int partition, long offset, Headers headers) {
        return record(topic, partition, offset, bytes("C-1"), bytes("an order"), headers);
    }

    private static ConsumerRecord<byte[], byte[]> record(
            String topic, int partition, long offset, byte[] key, byte[] value, Headers headers) {
        return new ConsumerRecord<>(topic, partition, offset, Recording.SOURCE_TIMESTAMP_MS, TimestampType.CREATE_TIME,
                0, 0, key, value, headers, Optional.empty());
    }

    /** A record as a consumer with an ErrorHandlingDeserializer hands it on: null, and the failure in a header. */
    private static ConsumerRecord<byte[], byte[]> undecodable(boolean isKey) {
        Headers headers = new RecordHeaders();
        Deserializer<byte[]> failing = (topic, data) -> {
            throw new IllegalArgumentException("not an order");
        };
        try (ErrorHandlingDeserializer<byte[]> deserializer = new ErrorHandlingDeserializer<>(failing)) {
            deserializer.setForKey(isKey);
            deserializer.deserialize("orders", headers, bytes("undecodable"));
        }
        return isKey
                ? record("orders", 3, 418, null, bytes("an order"), headers)
                : record("orders", 3, 419, bytes("C-1"), null, headers);
    }

    private static Exception decodingFailed(boolean isKey) {
        String header = isKey
                ? SerializationUtils.KEY_DESERIALIZER_EXCEPTION_HEADER
                : SerializationUtils.VALUE_DESERIALIZER_EXCEPTION_HEADER;
        return new ListenerExecutionFailedException("Listener failed", GROUP,
                SerializationUtils.getExceptionFromHeader(undecodable(isKey), header, LOG));
    }

    private static Exception listenerFailed() {
        return listenerFailed(new IllegalStateException("no stock"));
    }

    private static Exception listenerFailed(Exception cause) {
        return new ListenerExecutionFailedException("Listener method could not be invoked", GROUP, cause);
    }

    private static Exception timestamped() {
        return listenerFailed(new TimestampedException(
                listenerFailed(), Instant.ofEpochMilli(Recording.SOURCE_TIMESTAMP_MS + 5_000)));
    }
}

package orderpulse.writers;

import static orderpulse.writers.Recording.bytes;

import java.util.Properties;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.errors.LogAndContinueExceptionHandler;
import org.apache.kafka.streams.errors.LogAndContinueProcessingExceptionHandler;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.test.TestRecord;

/** Dead letters of Kafka Streams' own exception handlers, of a topology that fails at each record. */
public final class KafkaStreamsDeadLetters {
    private static final String DEAD_LETTERS = "shipping-dlt";

    public static void main(String[] arguments) throws Exception {
        Recording recording = new Recording(arguments[0]);
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream("orders", Consumed.with(Serdes.ByteArray(), Serdes.Long())).foreach((key, value) -> {
            throw new IllegalStateException(value == 0 ? null : "no stock");
        });
        try (TopologyTestDriver driver = new TopologyTestDriver(builder.build(), configuration())) {
            add(recording, driver, "not-deserialized", bytes("not eight bytes"));
            add(recording, driver, "processing-failure", new byte[] {0, 0, 0, 0, 0, 0, 0, 1});
            add(recording, driver, "null-message", new byte[8]);
        }
        recording.write();
    }

    private static Properties configuration() {
        Properties configuration = new Properties();
        configuration.put(StreamsConfig.APPLICATION_ID_CONFIG, "shipping");
        configuration.put(StreamsConfig.ERRORS_DEAD_LETTER_QUEUE_TOPIC_NAME_CONFIG, DEAD_LETTERS);
        configuration.put(StreamsConfig.DESERIALIZATION_EXCEPTION_HANDLER_CLASS_CONFIG,
                LogAndContinueExceptionHandler.class);
        configuration.put(StreamsConfig.PROCESSING_EXCEPTION_HANDLER_CLASS_CONFIG,
                LogAndContinueProcessingExceptionHandler.class);
        return configuration;
    }

    private static void add(Recording recording, TopologyTestDriver driver, String name, byte[] value) {
        TestInputTopic<byte[], byte[]> orders =
                driver.createInputTopic("orders", new ByteArraySerializer(), new ByteArraySerializer());
        RecordHeaders headers = new RecordHeaders();
        headers.add("trace", new byte[] {(byte) 0xff, 0});
        orders.pipeInput(new TestRecord<>(bytes("C-1"), value, headers, Recording.SOURCE_TIMESTAMP_MS));
        TestRecord<byte[], byte[]> dead =
                driver.createOutputTopic(DEAD_LETTERS, new ByteArrayDeserializer(), new ByteArrayDeserializer())
                        .readRecord();
        recording.add(name, DEAD_LETTERS, null, dead.timestamp(), dead.key(), dead.value(), dead.headers());
    }
}

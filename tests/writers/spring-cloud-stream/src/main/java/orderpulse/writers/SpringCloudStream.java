package orderpulse.writers;

import static orderpulse.writers.Recording.bytes;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.springframework.beans.factory.support.DefaultListableBeanFactory;
import org.springframework.boot.kafka.autoconfigure.KafkaConnectionDetails;
import org.springframework.boot.kafka.autoconfigure.KafkaProperties;
import org.springframework.cloud.stream.binder.ExtendedConsumerProperties;
import org.springframework.cloud.stream.binder.ExtendedProducerProperties;
import org.springframework.cloud.stream.binder.kafka.KafkaMessageChannelBinder;
import org.springframework.cloud.stream.binder.kafka.properties.KafkaBinderConfigurationProperties;
import org.springframework.cloud.stream.binder.kafka.properties.KafkaConsumerProperties;
import org.springframework.cloud.stream.binder.kafka.properties.KafkaProducerProperties;
import org.springframework.cloud.stream.binder.kafka.provisioning.KafkaTopicProvisioner;
import org.springframework.integration.IntegrationMessageHeaderAccessor;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.messaging.MessageHandlingException;
import org.springframework.messaging.support.ErrorMessage;
import org.springframework.messaging.support.GenericMessage;

/** Dead letters of the Kafka binder of Spring Cloud Stream. */
public final class SpringCloudStream {
    private static final String DEAD_LETTERS = "orders-scs-dlt";

    public static void main(String[] arguments) throws Exception {
        Recording recording = new Recording(arguments[0]);
        Headers headers = new RecordHeaders(List.of(new RecordHeader("trace", new byte[] {(byte) 0xff, 0})));
        ProducerRecord<byte[], byte[]> dead = dead("orders", 417, headers, "no stock");
        recording.add("dead-letter", dead);
        recording.add("failed-again", dead("orders", 900, dead.headers(), "still no stock"));
        recording.write();
    }

    /** What the binder's error handler sends. */
    private static ProducerRecord<byte[], byte[]> dead(String topic, long offset, Headers headers, String message) {
        ConsumerRecord<byte[], byte[]> record =
                new ConsumerRecord<>(topic, 3, offset, Recording.SOURCE_TIMESTAMP_MS, TimestampType.CREATE_TIME, 3, 8,
                        bytes("C-1"), bytes("an order"), new RecordHeaders(headers.toArray()), Optional.empty());
        KafkaConsumerProperties kafka = new KafkaConsumerProperties();
        kafka.setEnableDlq(true);
        kafka.setDlqName(DEAD_LETTERS);
        ExtendedConsumerProperties<KafkaConsumerProperties> consumer = new ExtendedConsumerProperties<>(kafka);
        Binder binder = new Binder();
        Exception failure = new MessageHandlingException(
                new GenericMessage<>(record.value()), "failed in the listener", new IllegalStateException(message));
        binder.handle(
                new ErrorMessage(failure, Map.of(IntegrationMessageHeaderAccessor.SOURCE_DATA, record)), consumer);
        return binder.producer.history().get(0);
    }

    /** A binder whose producer keeps what it is given. */
    private static final class Binder extends KafkaMessageChannelBinder {
        private final MockProducer<byte[], byte[]> producer =
                new MockProducer<>(true, null, new ByteArraySerializer(), new ByteArraySerializer());

        Binder() {
            this(new KafkaBinderConfigurationProperties(new KafkaProperties(),
                    new DefaultListableBeanFactory().getBeanProvider(KafkaConnectionDetails.class)));
        }

        private Binder(KafkaBinderConfigurationProperties configuration) {
            super(configuration, new KafkaTopicProvisioner(configuration, new KafkaProperties(), List.of()));
        }

        void handle(ErrorMessage failure, ExtendedConsumerProperties<KafkaConsumerProperties> consumer) {
            getErrorMessageHandler(() -> "orders", "billing", consumer).handleMessage(failure);
        }

        @Override
        protected DefaultKafkaProducerFactory<byte[], byte[]> getProducerFactory(String transactionIdPrefix,
                ExtendedProducerProperties<KafkaProducerProperties> properties, String name, String destination) {
            return new DefaultKafkaProducerFactory<>(Map.of()) {
                @Override
                public Producer<byte[], byte[]> createProducer() {
                    return producer;
                }
            };
        }
    }
}

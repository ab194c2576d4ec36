package com.hazelmart.orders;

import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.clients.consumer.OffsetResetStrategy;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.KafkaOperations;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.core.ProducerFactory;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.RecordInterceptor;

/** Kafka without a broker: the client's own MockConsumer and MockProducer below Spring's real containers. */
public final class Consumers implements ConsumerFactory<String, String>, RecordInterceptor<String, String> {
    private static final Map<String, String> HEADERS = Map.of(
            "error_class", "kafka_dlt-exception-fqcn",
            "message", "kafka_dlt-exception-message",
            "stacktrace", "kafka_dlt-exception-stacktrace");

    private final ProducerFactory<Object, Object> producers = () -> new MockProducer<>(true, null, null, null);
    private final Map<String, MockConsumer<String, String>> byTopic = new ConcurrentHashMap<>();
    private final BlockingQueue<Optional<Map<String, String>>> outcomes = new LinkedBlockingQueue<>();
    private final AtomicLong nextOffset = new AtomicLong();

    /** Empty where a listener took the record, else what the dead letter says. */
    public Optional<Map<String, String>> consume(String topic, String key, String value) throws InterruptedException {
        MockConsumer<String, String> consumer = byTopic.get(topic);
        consumer.addRecord(new ConsumerRecord<>(topic, 0, nextOffset.getAndIncrement(), key, value));
        Optional<Map<String, String>> outcome = outcomes.poll(30, TimeUnit.SECONDS);
        if (outcome == null) {
            throw new IllegalStateException("nothing came of a record of " + topic);
        }
        return outcome;
    }

    public DeadLetterPublishingRecoverer recoverer() {
        DeadLetterPublishingRecoverer recoverer = new DeadLetterPublishingRecoverer(new KafkaTemplate<>(producers)) {
            @Override
            protected void publish(ProducerRecord<Object, Object> dead, KafkaOperations<Object, Object> template,
                    ConsumerRecord<?, ?> record) {
                Map<String, String> told = new HashMap<>();
                HEADERS.forEach((name, header) -> told.put(name, text(dead.headers().lastHeader(header))));
                outcomes.add(Optional.of(told));
            }
        };
        recoverer.setVerifyPartition(false);
        return recoverer;
    }

    private static String text(Header header) {
        return header == null || header.value() == null ? "" : new String(header.value(), StandardCharsets.UTF_8);
    }

    @Override
    public ConsumerRecord<String, String> intercept(ConsumerRecord<String, String> record, Consumer<String, String> consumer) {
        return record;
    }

    @Override
    public void success(ConsumerRecord<String, String> record, Consumer<String, String> consumer) {
        outcomes.add(Optional.empty());
    }

    @Override
    public Consumer<String, String> createConsumer(String group, String prefix, String suffix, Properties properties) {
        return new MockConsumer<>(OffsetResetStrategy.EARLIEST) {
            @Override
            public synchronized void assign(Collection<TopicPartition> partitions) {
                super.assign(partitions);
                partitions.forEach(partition -> {
                    updateBeginningOffsets(Map.of(partition, 0L));
                    byTopic.put(partition.topic(), this);
                });
            }
        };
    }

    @Override
    public Map<String, Object> getConfigurationProperties() {
        return Map.of("group.id", "orders");
    }

    @Override
    public boolean isAutoCommit() {
        return false;
    }
}

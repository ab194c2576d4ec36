package orderpulse.writers.orders;

import io.apicurio.registry.serde.avro.AvroKafkaSerializer;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;

/** What Apicurio's serializer of version 2 writes: a global id of 8 bytes, in a header or before the value. */
public final class Apicurio2 {
    private Apicurio2() {}

    public static void main(String[] told) throws Exception {
        record(Path.of(told[0]), told[1], "apicurio2-avro-headers", "as it comes", Map.of());
        record(Path.of(told[0]), told[1], "apicurio2-avro-prefix", "headers disabled",
                Map.of("apicurio.registry.headers.enabled", "false"));
    }

    private static void record(Path folder, String registryUrl, String topic, String how, Map<String, String> settings)
            throws Exception {
        Recording recording = new Recording(topic, "Apicurio AvroKafkaSerializer", "apicurio2", "apicurio-2", how);
        Map<String, Object> config = new HashMap<>(settings);
        config.put("apicurio.registry.url", registryUrl + ApicurioRegistry.V2);
        config.put("apicurio.registry.auto-register", "true");
        AvroOrders avro = new AvroOrders(folder);
        try (var serializer = new AvroKafkaSerializer<GenericRecord>()) {
            serializer.configure(config, false);
            for (Order order : Order.all(folder)) {
                RecordHeaders headers = new RecordHeaders();
                byte[] value = serializer.serialize(topic, headers, avro.of(order));
                recording.add(order, value, headers);
            }
        }
        recording.registered(new ApicurioRegistry(registryUrl).registered(topic)).write(folder);
    }
}

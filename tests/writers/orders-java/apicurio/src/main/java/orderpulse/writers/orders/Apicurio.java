package orderpulse.writers.orders;

import io.apicurio.registry.serde.avro.AvroKafkaSerializer;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;

/** What Apicurio's serializer of today writes: behind a prefix or beside headers, in binary or in Avro's JSON. */
public final class Apicurio {
    private static final Map<String, String> HEADERS = Map.of("apicurio.registry.headers.enabled", "true");
    private static final Map<String, String> JSON = Map.of("apicurio.registry.avro.encoding", "JSON");
    private static final Map<String, String> GLOBAL_ID = Map.of("apicurio.registry.use-id", "globalId");

    private final Path folder;
    private final ApicurioRegistry registry;
    private final String registryUrl;

    private Apicurio(Path folder, String registryUrl) {
        this.folder = folder;
        this.registry = new ApicurioRegistry(registryUrl);
        this.registryUrl = registryUrl;
    }

    public static void main(String[] told) throws Exception {
        Apicurio writers = new Apicurio(Path.of(told[0]), told[1]);
        writers.record("apicurio-avro-prefix", "as it comes", List.of());
        writers.record("apicurio-avro-headers", "headers enabled", List.of(HEADERS));
        writers.record("apicurio-avro-headers-global", "headers enabled, use-id globalId", List.of(HEADERS, GLOBAL_ID));
        writers.record("apicurio-avro-json-prefix", "encoding JSON", List.of(JSON));
        writers.record("apicurio-avro-json-headers", "encoding JSON, headers enabled", List.of(JSON, HEADERS));
    }

    private void record(String topic, String how, List<Map<String, String>> settings) throws Exception {
        Recording recording = new Recording(topic, "Apicurio AvroKafkaSerializer", "apicurio", "apicurio", how);
        Map<String, Object> config = new HashMap<>();
        config.put("apicurio.registry.url", registryUrl + ApicurioRegistry.V3);
        config.put("apicurio.registry.auto-register", "true");
        settings.forEach(config::putAll);
        AvroOrders avro = new AvroOrders(folder);
        try (var serializer = new AvroKafkaSerializer<GenericRecord>()) {
            serializer.configure(config, false);
            for (Order order : Order.all(folder)) {
                RecordHeaders headers = new RecordHeaders();
                byte[] value = serializer.serialize(topic, headers, avro.of(order));
                recording.add(order, value, headers);
            }
        }
        recording.registered(registry.registered(topic)).write(folder);
    }
}

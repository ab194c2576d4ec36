package orderpulse.writers.orders;

import com.google.protobuf.Message;
import io.apicurio.registry.serde.avro.AvroKafkaSerializer;
import io.apicurio.registry.serde.jsonschema.JsonSchemaKafkaSerializer;
import io.apicurio.registry.serde.protobuf.ProtobufKafkaSerializer;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Serializer;

/** What Apicurio's serializers of today write, behind a prefix or beside headers: Avro, its JSON, Protobuf, JSON Schema. */
public final class Apicurio {
    private static final Map<String, String> HEADERS = Map.of("apicurio.registry.headers.enabled", "true");
    private static final Map<String, String> JSON = Map.of("apicurio.registry.avro.encoding", "JSON");
    private static final Map<String, String> GLOBAL_ID = Map.of("apicurio.registry.use-id", "globalId");
    private static final Map<String, String> INDEXES = Map.of("apicurio.registry.serde.send-type-ref", "false",
            "apicurio.registry.serde.send-indexes", "true");
    private static final Map<String, String> ORDER_JSON =
            Map.of("apicurio.registry.artifact.schema.location", "order.schema.json");

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
        writers.avro("apicurio-avro-prefix", "as it comes", List.of());
        writers.avro("apicurio-avro-headers", "headers enabled", List.of(HEADERS));
        writers.avro("apicurio-avro-headers-global", "headers enabled, use-id globalId", List.of(HEADERS, GLOBAL_ID));
        writers.avro("apicurio-avro-json-prefix", "encoding JSON", List.of(JSON));
        writers.avro("apicurio-avro-json-headers", "encoding JSON, headers enabled", List.of(JSON, HEADERS));
        writers.protobuf("apicurio-protobuf-prefix", "as it comes", List.of());
        writers.protobuf("apicurio-protobuf-indexes", "send-type-ref false, send-indexes true", List.of(INDEXES));
        writers.protobuf("apicurio-protobuf-headers", "headers enabled", List.of(HEADERS));
        writers.jsonSchema("apicurio-json-prefix", "as it comes", List.of(ORDER_JSON));
        writers.jsonSchema("apicurio-json-headers", "headers enabled", List.of(ORDER_JSON, HEADERS));
    }

    private void avro(String topic, String how, List<Map<String, String>> settings) throws Exception {
        AvroOrders avro = new AvroOrders(folder);
        try (var serializer = new AvroKafkaSerializer<GenericRecord>()) {
            record(topic, "AvroKafkaSerializer", how, settings, serializer, avro::of);
        }
    }

    private void protobuf(String topic, String how, List<Map<String, String>> settings) throws Exception {
        ProtobufOrders protobuf = new ProtobufOrders(folder);
        try (var serializer = new ProtobufKafkaSerializer<Message>()) {
            record(topic, "ProtobufKafkaSerializer", how, settings, serializer, protobuf::of);
        }
    }

    private void jsonSchema(String topic, String how, List<Map<String, String>> settings) throws Exception {
        try (var serializer = new JsonSchemaKafkaSerializer<Map<String, Object>>()) {
            record(topic, "JsonSchemaKafkaSerializer", how, settings, serializer, Apicurio::fields);
        }
    }

    private <T> void record(String topic, String serializerName, String how, List<Map<String, String>> settings,
            Serializer<T> serializer, Content<T> content) throws Exception {
        Recording recording = new Recording(topic, "Apicurio " + serializerName, "apicurio", "apicurio", how);
        Map<String, Object> config = new HashMap<>();
        config.put("apicurio.registry.url", registryUrl + ApicurioRegistry.V3);
        config.put("apicurio.registry.auto-register", "true");
        settings.forEach(config::putAll);
        serializer.configure(config, false);
        for (Order order : Order.all(folder)) {
            RecordHeaders headers = new RecordHeaders();
            byte[] value = serializer.serialize(topic, headers, content.of(order));
            recording.add(order, value, headers);
        }
        recording.registered(registry.registered(topic)).write(folder);
    }

    private static Map<String, Object> fields(Order order) {
        Map<String, Object> customer = new LinkedHashMap<>();
        customer.put("id", order.customer().id());
        customer.put("name", order.customer().name());
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("order_id", order.orderId());
        fields.put("customer", customer);
        fields.put("lines", order.lines().stream().map(Apicurio::fields).toList());
        fields.put("total", order.total());
        fields.put("currency", order.currency());
        fields.put("created_at", order.createdAt().toString());
        fields.put("region", order.region());
        fields.put("note", order.note());
        return fields;
    }

    private static Map<String, Object> fields(Order.Line line) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("sku", line.sku());
        fields.put("unit_price", line.unitPrice());
        fields.put("quantity", line.quantity());
        return fields;
    }

    private interface Content<T> {
        T of(Order order);
    }
}

package orderpulse.writers.orders;

import com.amazonaws.services.schemaregistry.serializers.GlueSchemaRegistryKafkaSerializer;
import com.amazonaws.services.schemaregistry.utils.AWSSchemaRegistryConstants;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.common.header.internals.RecordHeaders;
import software.amazon.awssdk.auth.credentials.AnonymousCredentialsProvider;
import software.amazon.awssdk.services.glue.model.DataFormat;

/** What AWS Glue's serializer writes. It is told the schema version, so that it asks no registry. */
public final class Glue {
    private static final UUID SCHEMA_VERSION = UUID.fromString("b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63");

    private Glue() {}

    public static void main(String[] told) throws Exception {
        record(Path.of(told[0]), "glue-avro", "NONE");
        record(Path.of(told[0]), "glue-avro-zlib", "ZLIB");
    }

    private static void record(Path folder, String topic, String compression) throws Exception {
        Recording recording = new Recording(topic, "AWS Glue GlueSchemaRegistryKafkaSerializer", "glue", "glue",
                "compression " + compression + "; the schema version is told it");
        Map<String, Object> config = new HashMap<>();
        config.put(AWSSchemaRegistryConstants.AWS_REGION, "eu-central-1");
        config.put(AWSSchemaRegistryConstants.AWS_ENDPOINT, "http://127.0.0.1:1");
        config.put(AWSSchemaRegistryConstants.DATA_FORMAT, DataFormat.AVRO.name());
        config.put(AWSSchemaRegistryConstants.COMPRESSION_TYPE, compression);
        AvroOrders avro = new AvroOrders(folder);
        try (var serializer = new GlueSchemaRegistryKafkaSerializer(AnonymousCredentialsProvider.create(),
                SCHEMA_VERSION, config)) {
            serializer.configure(config, false);
            for (Order order : Order.all(folder)) {
                recording.add(order, serializer.serialize(topic, avro.of(order)), new RecordHeaders());
            }
        }
        recording.schemaFiles("order.avsc").write(folder);
    }
}

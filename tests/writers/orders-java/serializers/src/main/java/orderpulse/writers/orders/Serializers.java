package orderpulse.writers.orders;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import io.cloudevents.CloudEvent;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.core.message.Encoding;
import io.cloudevents.kafka.CloudEventSerializer;
import io.cloudevents.kafka.PartitionKeyExtensionInterceptor;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.message.BinaryMessageEncoder;
import org.apache.kafka.common.header.internals.RecordHeaders;
import tools.jackson.databind.json.JsonMapper;

/** What libraries write that need no registry: Jackson 2 and 3, Avro's single-object encoding, CloudEvents. */
public final class Serializers {
    private static final String MADE_BY = "serializers";

    private final Path folder;
    private final List<Order> orders;
    private final ObjectMapper jackson = new ObjectMapper().registerModule(new JavaTimeModule())
            .setPropertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE);

    private Serializers(Path folder) throws IOException {
        this.folder = folder;
        this.orders = Order.all(folder);
    }

    public static void main(String[] told) throws IOException {
        Serializers writers = new Serializers(Path.of(told[0]));
        writers.jackson2();
        writers.jackson3();
        writers.avro();
        writers.cloudEvents(Encoding.BINARY);
        writers.cloudEvents(Encoding.STRUCTURED);
    }

    private void jackson2() throws IOException {
        Recording recording = new Recording("jackson-json", "Jackson 2", "jackson", MADE_BY,
                "ObjectMapper with JavaTimeModule and SNAKE_CASE, all else as it comes: times are seconds with a fraction");
        for (Order order : orders) {
            recording.add(order, jackson.writeValueAsBytes(order), new RecordHeaders());
        }
        recording.write(folder);
    }

    private void jackson3() throws IOException {
        Recording recording = new Recording("jackson3-json", "Jackson 3", "jackson3", MADE_BY,
                "JsonMapper as it comes: names in camel case, times ISO 8601");
        JsonMapper jackson3 = JsonMapper.builder().build();
        for (Order order : orders) {
            recording.add(order, jackson3.writeValueAsBytes(order), new RecordHeaders());
        }
        recording.write(folder);
    }

    private void avro() throws IOException {
        Recording recording = new Recording("avro-java-single", "Apache Avro (Java)", "avro", MADE_BY,
                "BinaryMessageEncoder as it comes");
        AvroOrders avro = new AvroOrders(folder);
        var encoder = new BinaryMessageEncoder<GenericRecord>(GenericData.get(), avro.schema);
        for (Order order : orders) {
            ByteBuffer value = encoder.encode(avro.of(order));
            byte[] bytes = new byte[value.remaining()];
            value.get(bytes);
            recording.add(order, bytes, new RecordHeaders());
        }
        recording.schemaFiles("order.avsc").write(folder);
    }

    private void cloudEvents(Encoding encoding) throws IOException {
        String mode = encoding.name().toLowerCase();
        Recording recording = new Recording("cloudevents-java-" + mode, "CloudEvents (Java) CloudEventSerializer",
                "cloudevents", MADE_BY, "encoding " + encoding + "; data is Jackson 2's JSON");
        try (CloudEventSerializer serializer = new CloudEventSerializer()) {
            serializer.configure(encoding == Encoding.BINARY
                    ? Map.of(CloudEventSerializer.ENCODING_CONFIG, encoding)
                    : Map.of(CloudEventSerializer.ENCODING_CONFIG, encoding, CloudEventSerializer.EVENT_FORMAT_CONFIG,
                            "application/cloudevents+json"), false);
            for (Order order : orders) {
                RecordHeaders headers = new RecordHeaders();
                byte[] value = serializer.serialize(recording.topic, headers, event(order));
                recording.add(order, value, headers);
            }
        }
        recording.write(folder);
    }

    private CloudEvent event(Order order) throws IOException {
        return CloudEventBuilder.v1().withId("event-" + order.orderId()).withSource(URI.create("/shop/checkout"))
                .withType("shop.order.placed").withSubject(order.orderId())
                .withTime(order.createdAt().atOffset(ZoneOffset.UTC))
                .withExtension(PartitionKeyExtensionInterceptor.PARTITION_KEY_EXTENSION, order.customer().id())
                .withData("application/json", jackson.writeValueAsBytes(order)).build();
    }
}

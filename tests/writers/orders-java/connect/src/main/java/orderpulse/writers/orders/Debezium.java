package orderpulse.writers.orders;

import io.apicurio.registry.utils.converter.AvroConverter;
import io.debezium.data.Envelope;
import io.debezium.data.SpecialValueDecimal;
import io.debezium.data.VariableScaleDecimal;
import io.debezium.time.MicroTimestamp;
import io.debezium.time.ZonedTimestamp;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.storage.Converter;

/**
 * Change events of a table `shop.orders`, by Debezium's own classes and the converters that it is run with.
 *
 * The first two orders are read by the snapshot (r), all others are inserted (c). One is changed later (u), one is
 * deleted (d), as from a table that identifies rows by their primary key: `before` holds the key only, in other columns
 * stands what is empty there. A deletion is followed by its key without a value.
 */
public final class Debezium {
    private static final String SERVER = "shopdb";
    private static final int SNAPSHOT_ROWS = 2;
    private static final int CHANGED = 2;
    private static final int DELETED = 4;
    private static final int MICROSECONDS = 6;

    private static final Schema KEY = SchemaBuilder.struct().name(SERVER + ".shop.orders.Key")
            .field("id", Schema.STRING_SCHEMA).build();
    private static final Schema ROW = SchemaBuilder.struct().name(SERVER + ".shop.orders.Value").optional()
            .field("id", Schema.STRING_SCHEMA).field("customer_id", Schema.STRING_SCHEMA)
            .field("sku", Schema.STRING_SCHEMA)
            .field("total", Decimal.builder(2).parameter("connect.decimal.precision", "12").build())
            .field("paid", VariableScaleDecimal.optionalSchema()).field("currency", Schema.STRING_SCHEMA)
            .field("created_at", MicroTimestamp.schema()).field("placed_at", ZonedTimestamp.builder().optional().build())
            .field("region", Schema.OPTIONAL_STRING_SCHEMA).field("status", Schema.STRING_SCHEMA).build();
    private static final Schema SOURCE = SchemaBuilder.struct().name("io.debezium.connector.postgresql.Source")
            .field("version", Schema.STRING_SCHEMA).field("connector", Schema.STRING_SCHEMA)
            .field("name", Schema.STRING_SCHEMA).field("ts_ms", Schema.INT64_SCHEMA)
            .field("snapshot", Schema.OPTIONAL_STRING_SCHEMA).field("db", Schema.STRING_SCHEMA)
            .field("schema", Schema.STRING_SCHEMA).field("table", Schema.STRING_SCHEMA)
            .field("txId", Schema.OPTIONAL_INT64_SCHEMA).field("lsn", Schema.OPTIONAL_INT64_SCHEMA).build();
    private static final Envelope ENVELOPE = Envelope.defineSchema().withName(SERVER + ".shop.orders.Envelope")
            .withRecord(ROW).withSource(SOURCE).build();

    private final Path folder;
    private final String registryUrl;

    public Debezium(Path folder, String registryUrl) {
        this.folder = folder;
        this.registryUrl = registryUrl;
    }

    /** In JSON with and without schemas, and in Avro by Apicurio's converter. */
    public void record() throws Exception {
        json("debezium-json-schemas", "JsonConverter as it comes", Map.of());
        json("debezium-json-bare", "JsonConverter with schemas.enable = false", Map.of("schemas.enable", "false"));
        String converter = "Apicurio's AvroConverter " + System.getProperty("version.apicurio2");
        avro("debezium-avro", converter + " as Confluent's: as-confluent, no headers, use-id contentId",
                Map.of("apicurio.registry.as-confluent", "true", "apicurio.registry.headers.enabled", "false",
                        "apicurio.registry.use-id", "contentId"));
        avro("debezium-avro-headers", converter + " as it comes", Map.of());
    }

    private void json(String topic, String how, Map<String, String> settings) throws Exception {
        Recording recording = recording(topic, how);
        try (JsonConverter keys = new JsonConverter(); JsonConverter values = new JsonConverter()) {
            keys.configure(settings, true);
            values.configure(settings, false);
            record(recording, keys, values);
        }
        recording.write(folder);
    }

    private void avro(String topic, String how, Map<String, String> framing) throws Exception {
        Recording recording = recording(topic, how);
        Map<String, Object> settings = new HashMap<>(framing);
        settings.put("apicurio.registry.url", registryUrl + ApicurioRegistry.V2);
        settings.put("apicurio.registry.auto-register", "true");
        try (AvroConverter<Object> keys = new AvroConverter<>(); AvroConverter<Object> values = new AvroConverter<>()) {
            keys.configure(settings, true);
            values.configure(settings, false);
            record(recording, keys, values);
        }
        recording.registered(new ApicurioRegistry(registryUrl).registered(topic)).write(folder);
    }

    private static Recording recording(String topic, String how) {
        return new Recording(topic, "Debezium", "debezium", "connect", how);
    }

    private void record(Recording recording, Converter keys, Converter values) throws Exception {
        List<Order> orders = Order.all(folder);
        for (int number = 0; number < orders.size(); number++) {
            Order order = orders.get(number);
            Instant at = order.createdAt();
            Sent made = new Sent(recording, keys, values, order);
            made.value(number < SNAPSHOT_ROWS ? ENVELOPE.read(row(order, "new"), source(at, "true"), at)
                    : ENVELOPE.create(row(order, "new"), source(at, "false"), at));
            recording.add(order.orderId(), order, 1, made.key, made.value, made.headers);
            Instant later = at.plusMillis(2 * Recording.SENT_AFTER_MS);
            if (number == CHANGED) {
                Sent changed = new Sent(recording, keys, values, order);
                changed.value(ENVELOPE.update(null, row(order, "paid"), source(later, "false"), later));
                recording.addOther(order.orderId() + "/update", order, 3, changed.key, changed.value, changed.headers);
            }
            if (number == DELETED) {
                Sent deleted = new Sent(recording, keys, values, order);
                deleted.value(ENVELOPE.delete(keyOnly(order), source(later, "false"), later));
                recording.addOther(order.orderId() + "/delete", order, 3, deleted.key, deleted.value, deleted.headers);
                Sent tombstone = new Sent(recording, keys, values, order);
                tombstone.value(null);
                recording.addOther(order.orderId() + "/tombstone", order, 3, tombstone.key, tombstone.value,
                        tombstone.headers);
            }
        }
    }

    /** A record as Connect makes it: the key first, then the value, both with the same headers in hand. */
    private static final class Sent {
        final RecordHeaders headers = new RecordHeaders();
        final byte[] key;
        byte[] value;
        private final Recording recording;
        private final Converter values;

        Sent(Recording recording, Converter keys, Converter values, Order order) {
            this.recording = recording;
            this.values = values;
            key = keys.fromConnectData(recording.topic, headers, KEY, new Struct(KEY).put("id", order.orderId()));
        }

        void value(Struct event) {
            value = values.fromConnectData(recording.topic, headers, event == null ? null : ENVELOPE.schema(), event);
        }
    }

    private static Struct row(Order order, String status) {
        // A numeric without scale arrives without trailing zeros.
        BigDecimal paid = order.total().stripTrailingZeros();
        paid = paid.scale() < 0 ? paid.setScale(0) : paid;
        Schema paidOf = ROW.field("paid").schema();
        return new Struct(ROW).put("id", order.orderId()).put("customer_id", order.customer().id())
                .put("sku", order.lines().get(0).sku()).put("total", order.total())
                .put("paid", VariableScaleDecimal.fromLogical(paidOf, new SpecialValueDecimal(paid)))
                .put("currency", order.currency()).put("created_at", order.createdAt().toEpochMilli() * 1000)
                .put("placed_at", ZonedTimestamp.toIsoString(order.createdAt().atZone(ZoneOffset.UTC), null, MICROSECONDS))
                .put("region", order.region()).put("status", status);
    }

    private static Struct keyOnly(Order order) {
        return new Struct(ROW).put("id", order.orderId()).put("customer_id", "").put("sku", "")
                .put("total", BigDecimal.ZERO.setScale(2)).put("currency", "").put("created_at", 0L).put("status", "");
    }

    private static Struct source(Instant at, String snapshot) {
        return new Struct(SOURCE).put("version", System.getProperty("version.debezium")).put("connector", "postgresql")
                .put("name", SERVER).put("ts_ms", at.toEpochMilli()).put("snapshot", snapshot).put("db", "shop")
                .put("schema", "shop").put("table", "orders").put("txId", 601L).put("lsn", 33_000_000L);
    }
}

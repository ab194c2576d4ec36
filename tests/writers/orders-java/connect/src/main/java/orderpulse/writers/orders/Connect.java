package orderpulse.writers.orders;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Timestamp;
import org.apache.kafka.connect.json.JsonConverter;

/** What Connect's JsonConverter writes, with its schema and without, nested and as the row of a table. */
public final class Connect {
    private static final Schema AMOUNT = Decimal.schema(2);
    private static final Schema CUSTOMER = SchemaBuilder.struct().name("shop.Customer")
            .field("id", Schema.STRING_SCHEMA).field("name", Schema.OPTIONAL_STRING_SCHEMA).build();
    private static final Schema LINE = SchemaBuilder.struct().name("shop.Line").field("sku", Schema.STRING_SCHEMA)
            .field("unit_price", AMOUNT).field("quantity", Schema.INT32_SCHEMA).build();
    private static final Schema ORDER = SchemaBuilder.struct().name("shop.Order")
            .field("order_id", Schema.STRING_SCHEMA).field("customer", CUSTOMER)
            .field("lines", SchemaBuilder.array(LINE).build()).field("total", AMOUNT)
            .field("currency", Schema.STRING_SCHEMA).field("created_at", Timestamp.SCHEMA)
            .field("region", Schema.OPTIONAL_STRING_SCHEMA).field("note", Schema.OPTIONAL_STRING_SCHEMA).build();
    private static final Schema ROW = SchemaBuilder.struct().name("orders").field("id", Schema.STRING_SCHEMA)
            .field("customer_id", Schema.STRING_SCHEMA).field("sku", Schema.STRING_SCHEMA)
            .field("total", AMOUNT).field("currency", Schema.STRING_SCHEMA).field("created_at", Timestamp.SCHEMA)
            .field("region", Schema.OPTIONAL_STRING_SCHEMA).build();

    private static final Map<String, String> BARE = Map.of("schemas.enable", "false");
    private static final Map<String, String> NUMERIC = Map.of("schemas.enable", "false", "decimal.format", "NUMERIC");

    private final Path folder;

    private Connect(Path folder) {
        this.folder = folder;
    }

    public static void main(String[] told) throws Exception {
        Connect writers = new Connect(Path.of(told[0]));
        writers.nested("connect-json-schemas", "as it comes: schema and payload", Map.of());
        writers.nested("connect-json-bare", "schemas.enable = false: a decimal is base64 of an unknown scale", BARE);
        writers.nested("connect-json-numeric", "schemas.enable = false, decimal.format = NUMERIC", NUMERIC);
        writers.rows("connect-json-jdbc", "as it comes; shaped like the row of a JDBC source");
        new Debezium(writers.folder, told[1]).record();
    }

    private void nested(String topic, String how, Map<String, String> settings) throws Exception {
        Recording recording = recording(topic, how);
        try (JsonConverter converter = new JsonConverter()) {
            converter.configure(settings, false);
            for (Order order : Order.all(folder)) {
                recording.add(order, converter.fromConnectData(topic, ORDER, struct(order)), new RecordHeaders());
            }
        }
        recording.write(folder);
    }

    private void rows(String topic, String how) throws Exception {
        Recording recording = recording(topic, how);
        try (JsonConverter converter = new JsonConverter()) {
            converter.configure(Map.of(), false);
            for (Order order : Order.all(folder)) {
                // The source has no key unless a transform sets it.
                byte[] value = converter.fromConnectData(topic, ROW, row(order));
                recording.add(order.orderId(), order, 1, null, value, new RecordHeaders());
            }
        }
        recording.write(folder);
    }

    private static Recording recording(String topic, String how) {
        return new Recording(topic, "Kafka Connect JsonConverter", "kafka", "connect", how);
    }

    private static Struct struct(Order order) {
        List<Struct> lines = new ArrayList<>();
        for (Order.Line line : order.lines()) {
            lines.add(new Struct(LINE).put("sku", line.sku()).put("unit_price", line.unitPrice())
                    .put("quantity", line.quantity()));
        }
        Struct customer = new Struct(CUSTOMER).put("id", order.customer().id()).put("name", order.customer().name());
        return new Struct(ORDER).put("order_id", order.orderId()).put("customer", customer).put("lines", lines)
                .put("total", order.total()).put("currency", order.currency())
                .put("created_at", Date.from(order.createdAt())).put("region", order.region())
                .put("note", order.note());
    }

    private static Struct row(Order order) {
        return new Struct(ROW).put("id", order.orderId()).put("customer_id", order.customer().id())
                .put("sku", order.lines().get(0).sku()).put("total", order.total()).put("currency", order.currency())
                .put("created_at", Date.from(order.createdAt())).put("region", order.region());
    }
}

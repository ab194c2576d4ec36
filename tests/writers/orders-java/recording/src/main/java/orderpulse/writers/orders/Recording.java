package orderpulse.writers.orders;

import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.apache.kafka.common.header.Header;

/** What one writer puts on one topic: a file of its records, and one of what is to know of them. */
public final class Recording {
    /** How much later than the order was made its record was sent. */
    public static final long SENT_AFTER_MS = 250;

    private static final ObjectMapper JSON = new ObjectMapper();

    public final String topic;
    private final Map<String, Object> about = new LinkedHashMap<>();
    private final List<String> lines = new ArrayList<>();

    /** The version is that of the property `version.LIBRARY`, which the build sets. */
    public Recording(String topic, String writer, String library, String madeBy, String how) {
        this.topic = topic;
        about.put("writer", writer);
        about.put("version", System.getProperty("version." + library));
        about.put("made_by", "tests/writers/orders-java/" + madeBy);
        about.put("how", how);
        about.put("schema_files", List.of());
        about.put("registered", List.of());
    }

    /** An order, under the customer's id. */
    public void add(Order order, byte[] value, Iterable<Header> headers) throws IOException {
        add(order.orderId(), order, 1, bytes(order.customer().id()), value, headers);
    }

    /** A record that is an order. */
    public void add(String name, Order order, int sent, byte[] key, byte[] value, Iterable<Header> headers)
            throws IOException {
        add(name, order.orderId(), order, sent, key, value, headers);
    }

    /** A record about an order that is no new order: a change, a deletion, a tombstone. */
    public void addOther(String name, Order about, int sent, byte[] key, byte[] value, Iterable<Header> headers)
            throws IOException {
        add(name, null, about, sent, key, value, headers);
    }

    private void add(String name, String orderId, Order about, int sent, byte[] key, byte[] value,
            Iterable<Header> headers) throws IOException {
        String pairs = StreamSupport.stream(headers.spliterator(), false)
                .map(header -> "[" + text(header.key()) + ", " + base64(header.value()) + "]")
                .collect(Collectors.joining(", "));
        lines.add("{\"name\": " + text(name) + ", \"order_id\": " + text(orderId) + ", \"topic\": " + text(topic)
                + ", \"partition\": null, \"timestamp_ms\": " + (about.createdAt().toEpochMilli() + sent * SENT_AFTER_MS)
                + ", \"key\": " + base64(key) + ", \"value\": " + base64(value) + ", \"headers\": [" + pairs + "]}");
    }

    /** Names the files in `schemas/` that a reader needs. */
    public Recording schemaFiles(String... names) {
        about.put("schema_files", List.of(names));
        return this;
    }

    /** Keeps what the registry knows. */
    public Recording registered(List<Map<String, Object>> schemas) {
        about.put("registered", schemas);
        return this;
    }

    /** Writes both files anew. */
    public void write(Path folder) throws IOException {
        var spaces = Separators.createDefaultInstance().withObjectFieldValueSpacing(Separators.Spacing.AFTER);
        var lineByLine = new DefaultPrettyPrinter(spaces);
        lineByLine.indentArraysWith(DefaultIndenter.SYSTEM_LINEFEED_INSTANCE);
        Files.writeString(folder.resolve(topic + ".json"), JSON.writer(lineByLine).writeValueAsString(about) + "\n");
        Files.writeString(folder.resolve(topic + ".jsonl"), String.join("\n", lines) + "\n");
    }

    public static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(String plain) {
        try {
            return JSON.writeValueAsString(plain);
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    private static String base64(byte[] value) {
        return value == null ? "null" : text(Base64.getEncoder().encodeToString(value));
    }
}

package orderpulse.writers;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;

/** Collects dead letters as their framework hands them to a producer, and writes them as JSON lines. */
public final class Recording {
    /** When the original records were written: 2023-11-14 22:13:20 UTC. */
    public static final long SOURCE_TIMESTAMP_MS = 1_700_000_000_000L;

    private final Path file;
    private final List<String> lines = new ArrayList<>();

    public Recording(String file) {
        this.file = Path.of(file);
    }

    /** Adds one dead letter under a name that the tests find it by; no time means that the producer sets it. */
    public void add(String name, String topic, Integer partition, Long timestampMs, byte[] key, byte[] value,
            Iterable<Header> headers) {
        String pairs = StreamSupport.stream(headers.spliterator(), false)
                .map(header -> "[" + text(header.key()) + ", " + base64(header.value()) + "]")
                .collect(Collectors.joining(", "));
        lines.add("{\"name\": " + text(name) + ", \"topic\": " + text(topic) + ", \"partition\": " + partition
                + ", \"timestamp_ms\": " + timestampMs + ", \"key\": " + base64(key) + ", \"value\": " + base64(value)
                + ", \"headers\": [" + pairs + "]}");
    }

    /** Adds one dead letter as it was sent. */
    public void add(String name, ProducerRecord<byte[], byte[]> sent) {
        add(name, sent.topic(), sent.partition(), sent.timestamp(), sent.key(), sent.value(), sent.headers());
    }

    /** Writes the file anew. */
    public void write() throws IOException {
        Files.createDirectories(file.getParent());
        Files.writeString(file, String.join("\n", lines) + "\n");
    }

    public static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(String plain) {
        return "\"" + plain + "\"";
    }

    private static String base64(byte[] value) {
        return value == null ? "null" : text(Base64.getEncoder().encodeToString(value));
    }
}

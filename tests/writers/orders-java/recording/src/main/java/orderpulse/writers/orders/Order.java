package orderpulse.writers.orders;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/** One of the orders that every writer writes. */
public record Order(String orderId, Customer customer, List<Line> lines, BigDecimal total, String currency,
        Instant createdAt, String region, String note) {

    public record Customer(String id, String name) {}

    public record Line(String sku, BigDecimal unitPrice, int quantity) {}

    /** All of them, from the file that all writers share. */
    public static List<Order> all(Path folder) throws IOException {
        List<Order> orders = new ArrayList<>();
        for (JsonNode each : new ObjectMapper().readTree(folder.resolve("orders.json").toFile())) {
            orders.add(of(each.get("order")));
        }
        return orders;
    }

    private static Order of(JsonNode told) {
        List<Line> lines = new ArrayList<>();
        for (JsonNode line : told.get("lines")) {
            lines.add(new Line(text(line, "sku"), amount(line, "unit_price"), line.get("quantity").intValue()));
        }
        JsonNode customer = told.get("customer");
        return new Order(text(told, "order_id"), new Customer(text(customer, "id"), text(customer, "name")), lines,
                amount(told, "total"), text(told, "currency"),
                Instant.ofEpochMilli(told.get("created_at_ms").longValue()), text(told, "region"), text(told, "note"));
    }

    private static BigDecimal amount(JsonNode in, String name) {
        return new BigDecimal(text(in, name));
    }

    private static String text(JsonNode in, String name) {
        return in.get(name).textValue();
    }
}

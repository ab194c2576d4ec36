package com.hazelmart.orders;

import com.fasterxml.jackson.databind.JsonNode;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.stereotype.Repository;

@Repository
public class OrderRepository {
    private final JdbcTemplate database;

    OrderRepository(JdbcTemplate database) {
        this.database = database;
    }

    void insert(JsonNode row) {
        switch (row.get("table").asText()) {
            case "customers" -> database.update("INSERT INTO customers (customer_id, email, segment) VALUES (?, ?, ?)",
                    text(row, "customer_id"), text(row, "email"), text(row, "segment"));
            case "orders" -> database.update(
                    "INSERT INTO orders (order_id, reference, customer_id, total, placed_at, note) VALUES (?, ?, ?, ?::numeric, ?::timestamptz, ?)",
                    text(row, "order_id"), text(row, "reference"), text(row, "customer_id"), text(row, "total"),
                    text(row, "placed_at"), text(row, "note"));
            case "releases" -> database.queryForList("SELECT release(?, ?)", text(row, "order_id"), text(row, "code"));
            case "shares" -> database.queryForList("SELECT ?::numeric / ?::numeric", text(row, "total"), text(row, "parts"));
            case "reports" -> report(text(row, "order_id"));
            default -> database.update("INSERT INTO " + row.get("table").asText() + " VALUES (?)", text(row, "order_id"));
        }
    }

    private void report(String orderId) {
        database.execute("SET statement_timeout = 50; SELECT pg_sleep(5) /* " + orderId.replaceAll("\\W", "") + " */");
    }

    private static String text(JsonNode row, String name) {
        return row.hasNonNull(name) ? row.get(name).asText() : null;
    }
}

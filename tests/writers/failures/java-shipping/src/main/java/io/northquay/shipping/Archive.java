package io.northquay.shipping;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;

/** An archive in H2 by plain JDBC; every failure is wrapped in the same exception with the same message. */
final class Archive {
    private final Connection connection = open();

    void store(byte[] value) {
        JsonObject row = JsonParser.parseString(ShippingTopology.text(value)).getAsJsonObject();
        String sql = row.has("sql") ? row.get("sql").getAsString() : "INSERT INTO legs VALUES (?, ?, ?, ?)";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            int number = 1;
            for (var parameter : row.getAsJsonArray("row")) {
                statement.setString(number++, parameter.isJsonNull() ? null : parameter.getAsString());
            }
            statement.execute();
        } catch (SQLException failed) {
            throw new RuntimeException("the archive did not take " + row.get("id").getAsString(), failed);
        }
    }

    private static Connection open() {
        try {
            Connection connection = DriverManager.getConnection("jdbc:h2:mem:archive;DB_CLOSE_DELAY=-1");
            connection.createStatement().execute("""
                    CREATE TABLE legs (leg VARCHAR PRIMARY KEY, harbour VARCHAR(12) NOT NULL, berth VARCHAR NOT NULL,
                        depth NUMERIC(4, 1) CONSTRAINT deep_enough CHECK (depth > 2));
                    CREATE UNIQUE INDEX one_leg_a_berth ON legs (berth);
                    """);
            return connection;
        } catch (SQLException failed) {
            throw new IllegalStateException(failed);
        }
    }
}

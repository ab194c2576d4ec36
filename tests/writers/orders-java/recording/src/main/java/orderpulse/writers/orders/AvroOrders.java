package orderpulse.writers.orders;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;

/** Orders as generic records of `order.avsc`. */
public final class AvroOrders {
    public final Schema schema;

    public AvroOrders(Path folder) throws IOException {
        schema = new Schema.Parser().parse(folder.resolve("schemas/order.avsc").toFile());
    }

    public GenericRecord of(Order order) {
        Schema linesOf = schema.getField("lines").schema();
        GenericRecord customer = new GenericData.Record(schema.getField("customer").schema());
        customer.put("id", order.customer().id());
        customer.put("name", order.customer().name());
        List<GenericRecord> lines = new ArrayList<>();
        for (Order.Line each : order.lines()) {
            GenericRecord line = new GenericData.Record(linesOf.getElementType());
            line.put("sku", each.sku());
            line.put("unit_price", decimal(each.unitPrice(), linesOf.getElementType().getField("unit_price")));
            line.put("quantity", each.quantity());
            lines.add(line);
        }
        GenericRecord record = new GenericData.Record(schema);
        record.put("order_id", order.orderId());
        record.put("customer", customer);
        record.put("lines", new GenericData.Array<>(linesOf, lines));
        record.put("total", decimal(order.total(), schema.getField("total")));
        record.put("currency", new GenericData.EnumSymbol(schema.getField("currency").schema(), order.currency()));
        record.put("created_at", order.createdAt().toEpochMilli());
        record.put("region", order.region());
        record.put("note", order.note());
        return record;
    }

    private static ByteBuffer decimal(BigDecimal amount, Schema.Field field) {
        return new Conversions.DecimalConversion().toBytes(amount, field.schema(), field.schema().getLogicalType());
    }
}

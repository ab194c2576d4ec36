package orderpulse.writers.orders;

import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.FileDescriptorSet;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.Message;
import com.google.protobuf.TimestampProto;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;

/** Orders as messages of `shop.proto`. */
public final class ProtobufOrders {
    private final FileDescriptor file;

    public ProtobufOrders(Path folder) throws Exception {
        FileDescriptorSet set = FileDescriptorSet.parseFrom(Files.readAllBytes(folder.resolve("schemas/shop.desc")));
        FileDescriptorProto shop = set.getFileList().stream().filter(each -> each.getName().equals("shop.proto"))
                .findFirst().orElseThrow();
        file = FileDescriptor.buildFrom(shop, new FileDescriptor[] {TimestampProto.getDescriptor()});
    }

    public Message of(Order order) {
        Descriptor type = file.findMessageTypeByName("Order");
        DynamicMessage.Builder message = builder("Order");
        set(message, "order_id", order.orderId());
        DynamicMessage.Builder customer = builder("Customer");
        set(customer, "id", order.customer().id());
        set(customer, "name", order.customer().name());
        set(message, "customer", customer.build());
        for (Order.Line each : order.lines()) {
            DynamicMessage.Builder line = builder("Line");
            set(line, "sku", each.sku());
            set(line, "unit_price_cents", cents(each.unitPrice()));
            set(line, "quantity", each.quantity());
            message.addRepeatedField(type.findFieldByName("lines"), line.build());
        }
        set(message, "total_cents", cents(order.total()));
        set(message, "currency", file.findEnumTypeByName("Currency").findValueByName(order.currency()));
        set(message, "created_at", timestamp(type.findFieldByName("created_at"), order));
        set(message, "region", order.region());
        set(message, "note", order.note());
        return message.build();
    }

    private static Message timestamp(FieldDescriptor field, Order order) {
        DynamicMessage.Builder time = DynamicMessage.newBuilder(field.getMessageType());
        set(time, "seconds", order.createdAt().getEpochSecond());
        set(time, "nanos", order.createdAt().getNano());
        return time.build();
    }

    private DynamicMessage.Builder builder(String type) {
        return DynamicMessage.newBuilder(file.findMessageTypeByName(type));
    }

    private static void set(DynamicMessage.Builder message, String field, Object value) {
        if (value != null) {
            message.setField(message.getDescriptorForType().findFieldByName(field), value);
        }
    }

    private static long cents(BigDecimal amount) {
        return amount.movePointRight(2).longValueExact();
    }
}

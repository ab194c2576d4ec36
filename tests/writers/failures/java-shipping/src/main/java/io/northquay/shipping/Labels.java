package io.northquay.shipping;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.annotations.SerializedName;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Struct;
import java.time.Duration;
import java.util.Base64;
import java.util.Currency;
import java.util.List;
import java.util.Map;

/** Labels in JSON, some of which carry Protobuf. */
final class Labels {
    private static final Map<String, Duration> LEGS = Map.of("A-B", Duration.ofHours(3));
    private final Gson json = new GsonBuilder().create();

    record Label(String label, Integer pieces, Double weight, Side side, List<Item> items, String packed, String currency,
            String leg, String receiver) {}

    record Item(String sku, int count, Map<String, Integer> sizes) {}

    enum Side { @SerializedName("port") PORT, @SerializedName("starboard") STARBOARD }

    void read(byte[] value) {
        Label label = json.fromJson(ShippingTopology.text(value), Label.class);
        if (label.packed() != null) {
            unpack(label);
        }
        if (label.currency() != null) {
            Currency.getInstance(label.currency());
        }
        if (label.leg() != null) {
            print(label, LEGS.get(label.leg()).toHours());
        }
        print(label, firstOf(label.items()).count());
    }

    private void unpack(Label label) {
        try {
            Struct.parseFrom(Base64.getUrlDecoder().decode(label.packed()));
        } catch (InvalidProtocolBufferException failed) {
            throw new IllegalArgumentException("label " + label.label() + " for " + label.receiver(), failed);
        }
    }

    private Item firstOf(List<Item> items) {
        return items.stream().filter(item -> item.sizes().get("height") > 2).findFirst().get();
    }

    private String print(Label label, long count) {
        String side = label.side().name();
        if (count > label.pieces()) {
            throw new IllegalStateException(label.receiver() + ": " + count + " of " + label.pieces() + " pieces " + side);
        }
        return String.format("%d of %d, %s", count, label.pieces(), label.weight().intValue());
    }
}

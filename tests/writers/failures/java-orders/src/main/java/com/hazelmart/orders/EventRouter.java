package com.hazelmart.orders;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.stereotype.Component;

@Component
public class EventRouter {
    private final KafkaTemplate<String, String> template;

    EventRouter(KafkaTemplate<String, String> template) {
        this.template = template;
    }

    /** An event as most write it: without a toString. */
    static class Event {
        final JsonNode content;

        Event(JsonNode content) {
            this.content = content;
        }
    }

    void route(JsonNode content) throws Exception {
        Event event = new Event(content);
        switch (content.get("type").asText()) {
            case "unknown" -> throw new IllegalArgumentException("no handler takes " + event);
            case "callback" -> {
                Consumer<Event> later = given -> given.content.get("type");
                throw new UnsupportedOperationException(later + " cannot be kept");
            }
            case "paid" -> paid(content);
            case "split" -> split(content);
            case "moved" -> moved(content);
            case "locked" -> throw new TimeoutException("pool-" + content.get("pool").asText() + "-thread-"
                    + content.get("thread").asText() + " waited " + content.get("ms").asText() + " ms for "
                    + content.get("host").asText() + ":5432 (" + content.get("pod").asText() + ")");
            case "merged" -> merged(content);
            case "forwarded" -> template.send(content.get("topic").asText(), content.get("order").asText());
            default -> throw new IllegalStateException(content.get("by").asText() + " sent " + content.get("type").asText());
        }
    }

    private void paid(JsonNode content) {
        long cents = Long.parseLong(content.get("cents").asText());
        UUID payment = UUID.fromString(content.get("payment").asText());
        throw new IllegalStateException("payment " + payment + " of " + cents + " is not of order " + content.get("order").asText());
    }

    private void split(JsonNode content) {
        BigDecimal share = new BigDecimal(content.get("total").asText()).divide(new BigDecimal(content.get("parts").asText()));
        List<BigDecimal> shares = new ArrayList<>();
        for (int part = 0; part < content.get("parts").asInt(); part++) {
            shares.add(share);
        }
        shares.get(content.get("chosen").asInt());
    }

    private void moved(JsonNode content) {
        byte[] label = Base64.getDecoder().decode(content.get("label").asText());
        LocalDateTime.parse(content.get("at").asText()).withHour(label.length);
    }

    private void merged(JsonNode content) {
        List<String> orders = new ArrayList<>();
        content.get("orders").forEach(order -> orders.add(order.asText()));
        for (String order : orders) {
            orders.remove(order);
        }
    }
}

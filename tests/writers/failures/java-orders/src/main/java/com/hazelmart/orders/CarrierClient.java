package com.hazelmart.orders;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.springframework.stereotype.Component;

@Component
public class CarrierClient {
    private final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private final String base = "http://127.0.0.1:" + System.getenv("UPSTREAM_PORT");

    void book(JsonNode shipment) throws InterruptedException {
        String root = shipment.has("base") ? shipment.get("base").asText() : base;
        URI uri = URI.create(root + "/shipments/" + URLEncoder.encode(shipment.get("shipment").asText(), StandardCharsets.UTF_8));
        HttpResponse<String> response = send(uri, shipment, shipment.path("attempts").asInt(1));
        if (response.statusCode() != 200) {
            throw new CarrierException("POST " + uri + " returned " + response.statusCode() + ": " + response.body(), null);
        }
        if (!response.body().contains("booked")) {
            throw new CarrierException("shipment to " + shipment.get("city").asText() + " for "
                    + shipment.get("name").asText() + " was not booked", null);
        }
    }

    private HttpResponse<String> send(URI uri, JsonNode shipment, int attempts) throws InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(uri).timeout(Duration.ofSeconds(1))
                .POST(HttpRequest.BodyPublishers.ofString(shipment.toString())).build();
        try {
            return client.send(request, HttpResponse.BodyHandlers.ofString());
        } catch (IOException failed) {
            if (attempts > 1) {
                return send(uri, shipment, attempts - 1);
            }
            throw new CarrierException("shipment " + shipment.get("shipment").asText() + " could not be booked", failed);
        }
    }

    static class CarrierException extends RuntimeException {
        CarrierException(String message, Throwable cause) {
            super(message, cause);
        }
    }
}

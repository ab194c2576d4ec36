package io.northquay.shipping;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.resilience4j.retry.Retry;
import io.github.resilience4j.retry.RetryConfig;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;

/** Calls of ports over HTTP with OkHttp, some retried. */
final class Ports {
    private final OkHttpClient client = new OkHttpClient.Builder().callTimeout(Duration.ofSeconds(1)).build();
    private final Retry retry = Retry.of("ports", RetryConfig.<JsonElement>custom().maxAttempts(2)
            .waitDuration(Duration.ofMillis(1)).retryOnResult(answer -> answer.toString().contains("later"))
            .failAfterMaxAttempts(true).build());

    void call(byte[] value) {
        JsonObject call = JsonParser.parseString(ShippingTopology.text(value)).getAsJsonObject();
        String host = call.has("host") ? call.get("host").getAsString() : "127.0.0.1:" + System.getenv("UPSTREAM_PORT");
        Request request = new Request.Builder().url("http://" + host + "/ports/" + call.get("port").getAsString()
                + "/calls/" + call.get("ship").getAsString()).build();
        JsonElement answer = Retry.decorateSupplier(retry, () -> fetch(request, call)).get();
        String berth = answer.getAsJsonObject().get("berth").getAsString();
        throw new IllegalArgumentException("berth " + berth + " of " + call.get("port").getAsString() + " is taken by "
                + call.get("captain").getAsString());
    }

    private JsonElement fetch(Request request, JsonObject call) {
        try (Response response = client.newCall(request).execute()) {
            if (!response.isSuccessful()) {
                throw new PortException("Port " + call.get("port").getAsString() + " rejected " + call.get("ship").getAsString()
                        + " with status " + response.code());
            }
            return JsonParser.parseString(response.body().string());
        } catch (IOException failed) {
            throw new UncheckedIOException(failed);
        }
    }

    static final class PortException extends RuntimeException {
        PortException(String message) {
            super(message);
        }
    }
}

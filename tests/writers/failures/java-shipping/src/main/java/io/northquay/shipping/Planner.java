package io.northquay.shipping;

import com.google.common.base.Preconditions;
import com.google.common.collect.ImmutableMap;
import com.google.common.collect.Iterables;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/** Plans tours, one leg in a thread of a pool each. */
final class Planner {
    private final ExecutorService pool = Executors.newFixedThreadPool(3);

    static class TourException extends RuntimeException {
        TourException(String message, Throwable cause) {
            super(message, cause);
        }
    }

    static final class KeinLiegeplatzException extends TourException {
        KeinLiegeplatzException(String message) {
            super(message, null);
        }
    }

    void plan(byte[] value) {
        JsonObject tour = JsonParser.parseString(ShippingTopology.text(value)).getAsJsonObject();
        List<Future<Long>> legs = new ArrayList<>();
        for (JsonElement leg : tour.getAsJsonArray("legs")) {
            legs.add(pool.submit(() -> minutesOf(leg.getAsJsonObject())));
        }
        try {
            long minutes = 0;
            for (Future<Long> leg : legs) {
                minutes += leg.get();
            }
            finish(tour, minutes);
        } catch (ExecutionException | InterruptedException failed) {
            throw new TourException("Tour " + tour.get("tour").getAsString() + " was not planned", failed);
        }
    }

    private Long minutesOf(JsonObject leg) throws Exception {
        return switch (leg.get("by").getAsString()) {
            case "chart" -> (long) Files.readAllLines(Path.of(leg.get("chart").getAsString())).size();
            case "zone" -> Instant.now().atZone(ZoneId.of(leg.get("zone").getAsString())).toEpochSecond();
            case "speed" -> 600L / leg.get("speed").getAsInt();
            case "packed" -> inflate(leg.get("packed").getAsString());
            case "nested" -> minutesOf(leg.getAsJsonObject("leg"));
            default -> throw new IllegalArgumentException("leg from " + leg.get("from").getAsString() + " to "
                    + leg.get("to").getAsString() + " cannot go by " + leg.get("by").getAsString());
        };
    }

    private long inflate(String packed) throws DataFormatException {
        Inflater inflater = new Inflater();
        inflater.setInput(packed.getBytes());
        return inflater.inflate(new byte[100]);
    }

    private void finish(JsonObject tour, long minutes) {
        String kind = tour.get("kind").getAsString();
        String ship = tour.get("ship").getAsString();
        switch (kind) {
            case "late" -> Preconditions.checkState(minutes > 0, "Tour of %s by %s takes %s minutes", ship,
                    tour.get("captain").getAsString(), minutes);
            case "crew" -> only(tour.getAsJsonArray("crew"));
            case "index" -> byName(tour.getAsJsonArray("crew"));
            case "german" -> throw new KeinLiegeplatzException("Kein Liegeplatz für " + ship + " in "
                    + tour.get("city").getAsString() + " am " + tour.get("at").getAsString());
            case "french" -> throw new TourException("le navire " + ship + " n'a pas quitté " + tour.get("city").getAsString(), null);
            case "frozen" -> List.of(ship).add(kind);
            default -> throw new TourException("Crew " + kind + " of " + ship + " is on leave until " + tour.get("at").getAsString(), null);
        }
    }

    private JsonElement only(JsonArray crew) {
        return Iterables.getOnlyElement(crew);
    }

    private ImmutableMap<String, Integer> byName(JsonArray crew) {
        ImmutableMap.Builder<String, Integer> places = ImmutableMap.builder();
        int place = 0;
        for (JsonElement member : crew) {
            places.put(member.getAsString(), place++);
        }
        return places.buildOrThrow();
    }
}

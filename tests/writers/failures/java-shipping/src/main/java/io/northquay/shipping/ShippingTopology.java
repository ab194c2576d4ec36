package io.northquay.shipping;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.kstream.Consumed;

/** A topic a kind of record; a record that fails ends the driver's task, so the next gets a new one. */
public final class ShippingTopology {
    private final Positions positions = new Positions();
    private final Labels labels = new Labels();
    private final Depot depot = new Depot();
    private final Archive archive = new Archive();
    private final Ports ports = new Ports();
    private final Planner planner = new Planner();
    private TopologyTestDriver driver = driver();

    public void pipe(String topic, String key, byte[] value) {
        try {
            driver.createInputTopic(topic, new StringSerializer(), new ByteArraySerializer()).pipeInput(key, value);
        } catch (RuntimeException failed) {
            driver.close();
            driver = driver();
            throw failed;
        }
    }

    private TopologyTestDriver driver() {
        StreamsBuilder builder = new StreamsBuilder();
        Map.<String, Handler>of(
                "positions", positions::read,
                "labels", labels::read,
                "parcels", depot::store,
                "archive", archive::store,
                "calls", ports::call,
                "tours", planner::plan).forEach((topic, handler) ->
                builder.stream(topic, Consumed.with(Serdes.String(), Serdes.ByteArray()))
                        .filter((key, value) -> value.length > 0)
                        .foreach((key, value) -> handler.handle(value)));
        builder.stream("counts", Consumed.with(Serdes.String(), Serdes.Integer()))
                .foreach((key, value) -> { });
        builder.stream("seals", Consumed.with(Serdes.String(), Serdes.UUID()))
                .foreach((key, value) -> { });
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, "shipping");
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "kafka:9092");
        return new TopologyTestDriver(builder.build(), properties);
    }

    interface Handler {
        void handle(byte[] value);
    }

    static String text(byte[] value) {
        return new String(value, StandardCharsets.UTF_8);
    }
}

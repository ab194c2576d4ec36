#!/bin/sh
# Library: Apicurio's AvroKafkaSerializer 3.1.7 (Java), auto-register on, all else as it comes.
#   Needs Maven and a JDK of 17 or newer.
# Guess: a record with a nested record is registered as one schema, under the topic's name, as confluent-kafka's
#   serializer (Python) and Apicurio's own of version 2 do it.
# Behaviour: every nested named type becomes an artifact of its own, of the type's name and shared by all topics.
#   The topic's schema only refers to it, by its bare name. Whoever reads that schema's text alone cannot parse it:
#   the references have to be asked for, even where nobody ever meant to use references.
# Seen in November 2026:
#   shop.Customer, 0 references: {"type":"record","name":"Customer","namespace":"shop","fields":[{"name":"id","type":"string"}]}
#   orders-value, 1 references: {"type":"record","name":"Order","namespace":"shop","fields":[{"name":"customer","type":"Customer"}]}
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
cd "$tmp"
cat >pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>io.apicurio</groupId><artifactId>apicurio-registry-avro-serde-kafka</artifactId><version>3.1.7</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-clients</artifactId><version>4.4.0</version></dependency>
</dependencies></project>
POM
timeout 300 mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory=lib >mvn.log 2>&1 || { cat mvn.log; exit 2; }
cat >F.java <<'JAVA'
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.apicurio.registry.serde.avro.AvroKafkaSerializer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;

class F {
    static int ids;

    public static void main(String[] args) throws Exception {
        HttpServer registry = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        registry.createContext("/", F::register);  // takes whatever comes, and shows it
        registry.start();
        Schema schema = new Schema.Parser().parse("{\"type\":\"record\",\"name\":\"Order\",\"namespace\":\"shop\",\"fields\":["
                + "{\"name\":\"customer\",\"type\":{\"type\":\"record\",\"name\":\"Customer\",\"fields\":["
                + "{\"name\":\"id\",\"type\":\"string\"}]}}]}");
        GenericRecord customer = new GenericData.Record(schema.getField("customer").schema());
        customer.put("id", "C-7");
        GenericRecord order = new GenericData.Record(schema);
        order.put("customer", customer);
        String url = "http://127.0.0.1:" + registry.getAddress().getPort() + "/apis/registry/v3";
        try (var serializer = new AvroKafkaSerializer<GenericRecord>()) {
            serializer.configure(Map.of("apicurio.registry.url", url, "apicurio.registry.auto-register", "true"), false);
            serializer.serialize("orders", order);
        }
        System.exit(0);  // its HTTP client has threads that stay
    }

    static void register(HttpExchange exchange) throws IOException {
        JsonNode asked = new ObjectMapper().readTree(exchange.getRequestBody().readAllBytes());
        JsonNode content = asked.path("firstVersion").path("content");
        System.out.println(asked.path("artifactId").textValue() + ", " + content.path("references").size()
                + " references: " + content.path("content").textValue());
        ids++;
        String named = "\"groupId\":\"default\",\"artifactType\":\"AVRO\",\"artifactId\":" + asked.path("artifactId");
        byte[] answer = ("{\"artifact\":{" + named + "},\"version\":{" + named + ",\"version\":\"1\",\"globalId\":" + ids
                + ",\"contentId\":" + ids + "}}").getBytes();
        exchange.getResponseHeaders().add("Content-Type", "application/json");
        exchange.sendResponseHeaders(200, answer.length);
        exchange.getResponseBody().write(answer);
        exchange.close();
    }
}
JAVA
timeout 60 java -cp 'lib/*' F.java 2>java.log | tee seen
[ "$(cat seen)" = 'shop.Customer, 0 references: {"type":"record","name":"Customer","namespace":"shop","fields":[{"name":"id","type":"string"}]}
orders-value, 1 references: {"type":"record","name":"Order","namespace":"shop","fields":[{"name":"customer","type":"Customer"}]}' ] || { cat java.log >&2; echo "CHANGED: the serializer no longer registers nested types by themselves, as described" >&2; exit 1; }

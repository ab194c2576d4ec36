package orderpulse.writers.orders;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Asks Apicurio's registry what has been registered. */
public final class ApicurioRegistry {
    public static final String V3 = "/apis/registry/v3";
    public static final String V2 = "/apis/registry/v2";
    private static final String COMPATIBLE = "/apis/ccompat/v7";

    private final String url;
    private final HttpClient http = HttpClient.newHttpClient();

    public ApicurioRegistry(String url) {
        this.url = url;
    }

    /**
     * What it answers for all artifacts whose names begin so (Confluent's API calls them subjects), in the order in which
     * they were registered, each after those that it refers to.
     */
    public List<Map<String, Object>> registered(String prefix) throws IOException, InterruptedException {
        Map<String, Long> globalIds = new LinkedHashMap<>();
        for (JsonNode each : get(V3 + "/search/versions?limit=500&orderby=globalId&order=asc").get("versions")) {
            globalIds.put(each.get("artifactId").textValue(), each.get("globalId").longValue());
        }
        Map<String, Map<String, Object>> schemas = new LinkedHashMap<>();
        for (String artifact : globalIds.keySet()) {
            if (artifact.startsWith(prefix)) {
                add(artifact, globalIds, schemas);
            }
        }
        return List.copyOf(schemas.values());
    }

    private void add(String artifact, Map<String, Long> globalIds, Map<String, Map<String, Object>> schemas)
            throws IOException, InterruptedException {
        JsonNode answer = get(COMPATIBLE + "/subjects/" + URLEncoder.encode(artifact, UTF_8) + "/versions/1");
        for (JsonNode reference : answer.get("references")) {
            add(reference.get("subject").textValue(), globalIds, schemas);
        }
        Map<String, Object> schema = new LinkedHashMap<>();
        schema.put("id", answer.get("id").longValue());
        schema.put("subject", artifact);
        schema.put("version", answer.get("version").intValue());
        schema.put("schema_type", answer.get("schemaType").textValue());
        schema.put("schema", answer.get("schema").textValue());
        schema.put("global_id", globalIds.get(artifact));
        if (!answer.get("references").isEmpty()) {
            schema.put("references", answer.get("references"));
        }
        schemas.put(artifact, schema);
    }

    private JsonNode get(String path) throws IOException, InterruptedException {
        var answer = http.send(HttpRequest.newBuilder(URI.create(url + path)).build(), BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IOException(path + " answered " + answer.statusCode() + " " + answer.body());
        }
        return new ObjectMapper().readTree(answer.body());
    }
}

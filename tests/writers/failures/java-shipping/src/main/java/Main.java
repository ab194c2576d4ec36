import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import io.northquay.shipping.ShippingTopology;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.logging.LogManager;

/** Pipes records of standard input through a topology of Kafka Streams and answers with what failed, or null. */
public final class Main {
    public static void main(String[] arguments) throws Exception {
        Locale.setDefault(Locale.ENGLISH);
        LogManager.getLogManager().reset();
        Gson json = new GsonBuilder().serializeNulls().create();
        ShippingTopology topology = new ShippingTopology();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonObject asked = json.fromJson(line, JsonObject.class);
            Object answer = null;
            try {
                topology.pipe(asked.get("topic").getAsString(), asked.get("key").getAsString(),
                        Base64.getDecoder().decode(asked.get("value").getAsString()));
            } catch (Exception failed) {
                StringWriter stack = new StringWriter();
                failed.printStackTrace(new PrintWriter(stack));
                answer = Map.of("error_class", failed.getClass().getName(),
                        "message", Objects.requireNonNullElse(failed.getMessage(), ""), "stacktrace", stack.toString());
            }
            System.out.write((json.toJson(answer) + "\n").getBytes(StandardCharsets.UTF_8));
            System.out.flush();
        }
        System.exit(0);
    }
}

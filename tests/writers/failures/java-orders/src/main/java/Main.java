import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.hazelmart.orders.Application;
import com.hazelmart.orders.Consumers;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Locale;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/** Hands records of standard input to Spring Kafka's listeners and answers with the dead letter's headers, or null. */
public final class Main {
    public static void main(String[] arguments) throws Exception {
        Locale.setDefault(Locale.ENGLISH);
        ObjectMapper json = new ObjectMapper();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (AnnotationConfigApplicationContext context = new AnnotationConfigApplicationContext(Application.class)) {
            Consumers consumers = context.getBean(Consumers.class);
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                JsonNode asked = json.readTree(line);
                String value = new String(Base64.getDecoder().decode(asked.get("value").asText()), StandardCharsets.UTF_8);
                String answer = json.writeValueAsString(
                        consumers.consume(asked.get("topic").asText(), asked.get("key").asText(), value).orElse(null));
                System.out.write((answer + "\n").getBytes(StandardCharsets.UTF_8));
                System.out.flush();
            }
        }
        System.exit(0);
    }
}

#!/bin/sh
# Library: org.apache.kafka:connect-json 4.4.0 (Java), JsonConverter with schemas.enable=false.
#   Needs Maven and a JDK of 17 or newer.
# Guess: a JSON integer that does not fit into Connect's 64 bits is an error, and a fraction keeps its
#   digits, or is an error too.
# Behaviour: an integer from 2^63 keeps its low 64 bits only, without an error: positive ids become
#   negative ones. Every fraction goes through a double.
# Seen in November 2026:
#   9223372036854775807 -> 9223372036854775807
#   12345678901234567890 -> -6101065172474983726
#   90071992547409.93 -> 9.007199254740994E13
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
cd "$tmp"
cat >pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>connect-json</artifactId><version>4.4.0</version></dependency></dependencies></project>
POM
timeout 300 mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory=lib >mvn.log 2>&1 || { cat mvn.log; exit 2; }
cat >F.java <<'JAVA'
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.connect.json.JsonConverter;
class F {
    public static void main(String[] args) {
        var converter = new JsonConverter();
        converter.configure(Map.of("schemas.enable", "false"), false);
        for (String number : args) {
            byte[] json = ("{\"n\":" + number + "}").getBytes(StandardCharsets.UTF_8);
            String seen;
            try {
                seen = "" + ((Map<?, ?>) converter.toConnectData("orders", json).value()).get("n");
            } catch (RuntimeException error) {
                seen = error.toString();
            }
            System.out.println(number + " -> " + seen);
        }
    }
}
JAVA
timeout 60 java -cp 'lib/*' F.java 9223372036854775807 12345678901234567890 90071992547409.93 2>java.log | tee seen
[ "$(cat seen)" = "9223372036854775807 -> 9223372036854775807
12345678901234567890 -> -6101065172474983726
90071992547409.93 -> 9.007199254740994E13" ] || { grep -v SLF4J java.log >&2 || :; echo "CHANGED: JsonConverter no longer wraps large integers as described" >&2; exit 1; }

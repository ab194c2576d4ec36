#!/bin/sh
# Library: org.apache.kafka:connect-json 4.4.0 (Java), JsonConverter with schemas.enable=false, all else as it comes.
#   Needs Maven and a JDK of 17 or newer.
# Guess: JSON without schemas stands for itself: a decimal is a number, or a text that says its digits.
# Behaviour: it is base64 of the unscaled value's bytes, and the scale is nowhere. 12.34 and 1.234 are the same text,
#   and their own converter reads it back as a text. decimal.format=NUMERIC, which is not the default, writes numbers.
# Seen in November 2026:
#   12.34 -> {"total":"BNI="} -> BNI=
#   1.234 -> {"total":"BNI="} -> BNI=
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
import java.math.BigDecimal;
import java.util.Map;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.json.JsonConverter;

class F {
    public static void main(String[] args) {
        var converter = new JsonConverter();
        converter.configure(Map.of("schemas.enable", "false"), false);
        for (String amount : args) {
            BigDecimal total = new BigDecimal(amount);
            Schema schema = SchemaBuilder.struct().field("total", Decimal.schema(total.scale())).build();
            byte[] json = converter.fromConnectData("orders", schema, new Struct(schema).put("total", total));
            Object read = ((Map<?, ?>) converter.toConnectData("orders", json).value()).get("total");
            System.out.println(amount + " -> " + new String(json) + " -> " + read);
        }
    }
}
JAVA
timeout 60 java -cp 'lib/*' F.java 12.34 1.234 2>java.log | tee seen
[ "$(cat seen)" = '12.34 -> {"total":"BNI="} -> BNI=
1.234 -> {"total":"BNI="} -> BNI=' ] || { grep -v SLF4J java.log >&2 || :; echo "CHANGED: a decimal without a schema is no longer written as described" >&2; exit 1; }

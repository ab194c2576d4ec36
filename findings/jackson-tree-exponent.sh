#!/bin/sh
# Library: com.fasterxml.jackson.core:jackson-databind 2.23.0 (Java), ObjectMapper.
#   Needs Maven and a JDK of 17 or newer.
# Guess: an amount is the same JSON whether an object is written at once or made a tree first, as serializers do
#   that hold it against a JSON Schema (valueToTree, then writeValue).
# Behaviour: the tree cuts trailing zeros off a BigDecimal. Round amounts are then written with an exponent: 100.00
#   becomes 1E+2, which a reader that expects digits and a point refuses, and the zeros that told the scale are gone.
# Seen in November 2026:
#   at once   {"total":100.00} {"total":2.30}
#   as a tree {"total":1E+2} {"total":2.3}
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
cd "$tmp"
cat >pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version>
<dependencies><dependency><groupId>com.fasterxml.jackson.core</groupId><artifactId>jackson-databind</artifactId><version>2.23.0</version></dependency></dependencies></project>
POM
timeout 300 mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory=lib >mvn.log 2>&1 || { cat mvn.log; exit 2; }
cat >F.java <<'JAVA'
import com.fasterxml.jackson.databind.ObjectMapper;
import java.math.BigDecimal;
import java.util.Map;

class F {
    public static void main(String[] args) throws Exception {
        ObjectMapper mapper = new ObjectMapper();
        Map<String, Object> round = Map.of("total", new BigDecimal("100.00"));
        Map<String, Object> other = Map.of("total", new BigDecimal("2.30"));
        System.out.println("at once   " + mapper.writeValueAsString(round) + " " + mapper.writeValueAsString(other));
        System.out.println("as a tree " + mapper.writeValueAsString(mapper.valueToTree(round)) + " "
                + mapper.writeValueAsString(mapper.valueToTree(other)));
    }
}
JAVA
timeout 60 java -cp 'lib/*' F.java | tee seen
[ "$(cat seen)" = 'at once   {"total":100.00} {"total":2.30}
as a tree {"total":1E+2} {"total":2.3}' ] || { echo "CHANGED: a tree no longer cuts trailing zeros off as described" >&2; exit 1; }

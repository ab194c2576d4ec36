#!/bin/sh
# Libraries: fastavro 1.13.1 (Python), Avro for Java 1.12.2. Needs Maven and a JDK of 17 or newer.
# Guess: bytes read with a writer's and a reader's schema give the same value in both.
# Behaviour: when only the scale of a decimal, or the unit of a timestamp, differs, fastavro applies
#   the writer's logical type and Java applies the reader's to the unchanged number. 10.5 becomes
#   1050 in Java, and 2026 becomes 1970. Java's own compatibility check calls both pairs compatible.
# Seen in November 2026:
#   fastavro scale: 10.5000
#   fastavro unit: 2026-11-27 00:00:00+00:00
#   java scale: 1050.00 COMPATIBLE
#   java unit: 1970-01-21T18:48:57.600Z COMPATIBLE
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
cd "$tmp"
python3 -m venv v
timeout 300 v/bin/pip install -q --disable-pip-version-check fastavro==1.13.1
cat >pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.avro</groupId><artifactId>avro</artifactId><version>1.12.2</version></dependency></dependencies></project>
POM
timeout 300 mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory=lib >mvn.log 2>&1 || { cat mvn.log; exit 2; }
cat >f.py <<'PY'
import io
import fastavro
from datetime import datetime, timezone
from decimal import Decimal
def field(**t):
    return {"type": "record", "name": "R", "fields": [{"name": "x", "type": t}]}
for what, value, writer, reader in (
    ("scale", Decimal("10.5"), field(type="bytes", logicalType="decimal", precision=12, scale=4), field(type="bytes", logicalType="decimal", precision=12, scale=2)),
    ("unit", datetime(2026, 11, 27, tzinfo=timezone.utc), field(type="long", logicalType="timestamp-millis"), field(type="long", logicalType="timestamp-micros")),
):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, writer, {"x": value})
    open(what, "wb").write(out.getvalue())
    print(f"fastavro {what}:", fastavro.schemaless_reader(io.BytesIO(out.getvalue()), writer, reader)["x"])
PY
cat >F.java <<'JAVA'
import java.nio.file.*;
import org.apache.avro.*;
import org.apache.avro.generic.*;
import org.apache.avro.io.DecoderFactory;
class F {
    static void read(String file, String writer, String reader) throws Exception {
        String record = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":{%s}}]}";
        Schema w = new Schema.Parser().parse(String.format(record, writer)), r = new Schema.Parser().parse(String.format(record, reader));
        var in = DecoderFactory.get().binaryDecoder(Files.readAllBytes(Path.of(file)), null);
        Object x = new GenericDatumReader<GenericRecord>(w, r).read(null, in).get("x");
        System.out.println("java " + file + ": " + x + " " + SchemaCompatibility.checkReaderWriterCompatibility(r, w).getType());
    }
    public static void main(String[] args) throws Exception {
        GenericData.get().addLogicalTypeConversion(new Conversions.DecimalConversion());
        GenericData.get().addLogicalTypeConversion(new org.apache.avro.data.TimeConversions.TimestampMicrosConversion());
        String decimal = "\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":12,\"scale\":", time = "\"type\":\"long\",\"logicalType\":\"timestamp-";
        read("scale", decimal + 4, decimal + 2);
        read("unit", time + "millis\"", time + "micros\"");
    }
}
JAVA
timeout 60 v/bin/python f.py | tee seen
timeout 60 java -cp 'lib/*' F.java 2>java.log | tee -a seen
[ "$(cat seen)" = "fastavro scale: 10.5000
fastavro unit: 2026-11-27 00:00:00+00:00
java scale: 1050.00 COMPATIBLE
java unit: 1970-01-21T18:48:57.600Z COMPATIBLE" ] || { grep -v SLF4J java.log >&2 || :; echo "CHANGED: fastavro and Java no longer read these two records as described" >&2; exit 1; }

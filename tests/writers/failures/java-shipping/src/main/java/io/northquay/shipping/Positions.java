package io.northquay.shipping;

import java.io.IOException;
import org.apache.avro.Schema;
import org.apache.avro.SchemaBuilder;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/** Ships' positions in Avro; the first byte says what is done with them. */
final class Positions {
    private static final Schema SCHEMA = SchemaBuilder.record("Position").namespace("io.northquay").fields()
            .requiredString("ship").name("kind").type().enumeration("Kind").symbols("SEA", "PORT").noDefault()
            .requiredLong("at").endRecord();
    private static final Schema NEXT = SchemaBuilder.record("Position").namespace("io.northquay").fields()
            .requiredString("ship").requiredString("berth").endRecord();

    void read(byte[] value) {
        try {
            Schema reader = value[0] == 1 ? NEXT : SCHEMA;
            BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(value, 1, value.length - 1, null);
            GenericRecord position = new GenericDatumReader<GenericRecord>(SCHEMA, reader).read(null, decoder);
            if (value[0] == 2) {
                GenericRecord copy = new GenericData.Record(SCHEMA);
                copy.put("ship", position.get("ship"));
                new GenericDatumWriter<GenericRecord>(SCHEMA).write(copy, EncoderFactory.get().binaryEncoder(java.io.OutputStream.nullOutputStream(), null));
            }
            position.get("berth");
        } catch (IOException failed) {
            throw new UnreadableException("position of " + value.length + " bytes", failed);
        }
    }

    static final class UnreadableException extends RuntimeException {
        UnreadableException(String message, Throwable cause) {
            super(message, cause);
        }
    }
}

package org.qlora4j.data;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.JsonProblem;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.TokenStreamLocation;

/**
 * One JSON list of objects, read object by object, so that memory holds one. The line of a record
 * is that of its opening brace.
 */
public record JsonArray(Path file, TextEncoding encoding) implements Source {
    @Override
    public Rows open() {
        return new Items(file, encoding.letters(file));
    }

    private static final class Items implements Rows {
        private final Path file;
        private final Reader in;
        private final JsonParser parser;
        private boolean begun;

        Items(Path file, Reader in) {
            this.file = file;
            this.in = in;
            this.parser = JsonRecords.JSON.createParser(in);
        }

        @Override
        public @Nullable Row next() {
            try {
                if (!begun) {
                    begun = true;
                    if (parser.nextToken() != JsonToken.START_ARRAY) {
                        throw error(parser.currentTokenLocation(), "the file must hold a list");
                    }
                }
                JsonToken token = parser.nextToken();
                if (token == JsonToken.END_ARRAY) {
                    if (parser.nextToken() != null) {
                        throw error(
                                parser.currentTokenLocation(),
                                "more follows after the end of the list");
                    }
                    return null;
                }
                if (token == null) {
                    return null; // asked again after the end
                }
                TokenStreamLocation place = parser.currentTokenLocation();
                Object value = parser.readValueAs(Object.class);
                if (!(value instanceof Map<?, ?>)) {
                    throw error(place, "each item must be a JSON object, got " + Row.kind(value));
                }
                @SuppressWarnings("unchecked") // names of a JSON object are strings
                Map<String, Object> fields = (Map<String, Object>) value;
                JsonRecords.widen(fields);
                return new Row(file.toString(), place.getLineNr(), fields);
            } catch (JacksonException e) {
                if (e.getCause() instanceof IOException io) {
                    throw Compression.unreadable(file, io);
                }
                throw error(e.getLocation(), "not JSON: " + JsonProblem.of(e));
            }
        }

        private FormatException error(@Nullable TokenStreamLocation place, String problem) {
            String where = place == null ? "" : ":" + place.getLineNr() + ":" + place.getColumnNr();
            return new FormatException(file + where + ": " + problem);
        }

        @Override
        public void close() {
            try {
                parser.close();
                in.close();
            } catch (IOException e) {
                throw Compression.unreadable(file, e);
            }
        }
    }
}

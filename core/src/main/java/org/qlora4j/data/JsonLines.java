package org.qlora4j.data;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.JsonProblem;
import tools.jackson.core.JacksonException;
import tools.jackson.core.TokenStreamLocation;

/**
 * JSON Lines (jsonlines.org): one object a line. Read line by line, so that line numbers are exact
 * and memory holds one line. Blank lines and a byte order mark are skipped, lines may end in CRLF,
 * the last one in nothing. {@code NaN} and {@code Infinity} pass as numbers because Python writes
 * them.
 */
public record JsonLines(Path file, TextEncoding encoding) implements Source {
    private static final int MAX_LINE_BYTES = 256 << 20;

    @Override
    public Rows open() {
        return new Lines(file, encoding.utf8(file), encoding);
    }

    private static final class Lines implements Rows {
        private final Path file;
        private final InputStream in;
        private final TextEncoding encoding;
        private final byte[] buffer = new byte[1 << 16];
        private final ByteArrayOutputStream line = new ByteArrayOutputStream();
        private int at;
        private int end;
        private int number;
        private boolean broken;

        Lines(Path file, InputStream in, TextEncoding encoding) {
            this.file = file;
            this.in = in;
            this.encoding = encoding;
        }

        @Override
        public @Nullable Row next() {
            while (true) {
                byte[] bytes = readLine();
                if (bytes == null) {
                    return null;
                }
                number++;
                String text = decode(bytes);
                if (!text.isBlank()) {
                    return new Row(file.toString(), number, parse(text));
                }
            }
        }

        @Override
        public boolean goesOn() {
            return !broken;
        }

        /**
         * The bytes up to the next line feed, which is dropped, or to the end; null if nothing is
         * left.
         */
        private byte @Nullable [] readLine() {
            line.reset();
            try {
                while (true) {
                    if (at == end) {
                        at = 0;
                        end = Math.max(0, in.read(buffer));
                        if (end == 0) {
                            return line.size() == 0 ? null : line.toByteArray();
                        }
                    }
                    int from = at;
                    while (at < end && buffer[at] != '\n') {
                        at++;
                    }
                    line.write(buffer, from, at - from);
                    if (at < end) {
                        at++;
                        return line.toByteArray();
                    }
                    if (line.size() > MAX_LINE_BYTES) {
                        number++;
                        throw error(
                                "", "the line is longer than 256 MiB; is this JSON Lines?", null);
                    }
                }
            } catch (IOException e) {
                broken = true;
                throw Compression.unreadable(file, e);
            } catch (
                    FormatException
                            e) { // too long, or a byte that is no letter: they stay in the way
                broken = true;
                throw e;
            }
        }

        private String decode(byte[] bytes) {
            ByteBuffer in = ByteBuffer.wrap(bytes);
            CharBuffer out = CharBuffer.allocate(bytes.length);
            CoderResult result = StandardCharsets.UTF_8.newDecoder().decode(in, out, true);
            if (result.isError()) {
                int alien = bytes[in.position()] & 0xFF;
                throw encoding.alien(file, number, alien, StandardCharsets.UTF_8);
            }
            String text = out.flip().toString();
            return number == 1 && text.startsWith("\uFEFF") ? text.substring(1) : text;
        }

        private Map<String, Object> parse(String text) {
            Object value;
            try {
                value = JsonRecords.JSON.readValue(text, Object.class);
            } catch (JacksonException e) {
                if (number == 1 && text.startsWith("[")) {
                    throw notAnObject("the beginning of a list", e);
                }
                TokenStreamLocation place = e.getLocation();
                throw error(
                        place == null ? "" : ":" + place.getColumnNr(),
                        "not JSON: " + JsonProblem.of(e) + "; each line must hold one whole object",
                        e);
            }
            if (value instanceof Map<?, ?>) {
                @SuppressWarnings("unchecked") // names of a JSON object are strings
                Map<String, Object> fields = (Map<String, Object>) value;
                JsonRecords.widen(fields);
                return fields;
            }
            throw notAnObject(Row.kind(value), null);
        }

        private FormatException notAnObject(String kind, @Nullable Throwable cause) {
            String way =
                    kind.endsWith("list")
                            ? "; turn a list of objects into lines with: jq -c '.[]' FILE > FILE.jsonl"
                            : "";
            return error("", "the line must be a JSON object, got " + kind + way, cause);
        }

        private FormatException error(String column, String problem, @Nullable Throwable cause) {
            return new FormatException(file + ":" + number + column + ": " + problem, cause);
        }

        @Override
        public void close() {
            try {
                in.close();
            } catch (IOException e) {
                throw new FormatException(file + " cannot be closed: " + e.getMessage(), e);
            }
        }
    }
}

package org.qlora4j.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.JsonProblem;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * JSON inside weight files, which strangers write: no duplicate keys, bounded nesting and names,
 * valid UTF-8.
 */
final class StrictJson {
    /** Characters of the longest name of a tensor; the longest in use are below 200. */
    static final int MAX_NAME = 1024;

    private static final int MAX_NESTING = 8;

    private static final JsonFactory FACTORY =
            JsonFactory.builder()
                    .streamReadConstraints(
                            StreamReadConstraints.builder()
                                    .maxNestingDepth(MAX_NESTING)
                                    .maxNameLength(MAX_NAME)
                                    .maxNumberLength(64)
                                    .build())
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .build();

    private static final JsonMapper MAPPER =
            JsonMapper.builder(FACTORY)
                    .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                    .build();

    private StrictJson() {}

    /**
     * Decodes UTF-8, rejecting what is not.
     *
     * @param what name of the text in messages, e.g. {@code header}
     */
    static String utf8(Path file, String what, MemorySegment bytes) {
        ByteBuffer buffer = ByteBuffer.wrap(bytes.toArray(ValueLayout.JAVA_BYTE));
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(buffer).toString();
        } catch (CharacterCodingException e) {
            throw new FormatException(
                    "%s: the %s is not valid UTF-8 at byte %d; the file is damaged, fetch it again"
                            .formatted(file, what, buffer.position()),
                    e);
        }
    }

    /**
     * A parser over the text; it throws {@link JacksonException}, to be turned by {@link #broken}.
     */
    static JsonParser parser(String text) {
        return FACTORY.createParser(ObjectReadContext.empty(), text);
    }

    /** The text as a tree, which must be an object. */
    static JsonNode object(Path file, String what, String text) {
        try {
            JsonNode node = MAPPER.readTree(text);
            if (!node.isObject()) {
                throw FormatException.of(
                        "%s: the %s must be a JSON object; the file is damaged, fetch it again",
                        file, what);
            }
            return node;
        } catch (JacksonException e) {
            throw broken(file, what, e);
        }
    }

    /** At most 80 characters of a value of a file, without line breaks, for a message. */
    static String clip(String value) {
        String line = value.replaceAll("\\p{Cntrl}", " ");
        return line.length() <= 80 ? line : line.substring(0, 77) + "...";
    }

    /** The one-line error for text that is not JSON, or breaks a limit. */
    static FormatException broken(Path file, String what, JacksonException e) {
        String reason = clip(JsonProblem.of(e));
        String place =
                e.getLocation() == null
                        ? ""
                        : " at %d:%d"
                                .formatted(
                                        e.getLocation().getLineNr(), e.getLocation().getColumnNr());
        return new FormatException(
                "%s: the %s is not valid JSON%s: %s; the file is damaged, fetch it again"
                        .formatted(file, what, place, reason),
                e);
    }
}

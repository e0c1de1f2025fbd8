package org.qlora4j.app;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a JVM that runs the command is started with, from the files {@code jvm.options} and {@code
 * jvm.environment} beside this class. The launcher script reads the same two.
 */
final class JvmSettings {
    private JvmSettings() {}

    /** The options, in order; a later one of the same name wins. */
    static List<String> options() {
        return lines("jvm.options");
    }

    /** Variables by name, for those that the user has not set. */
    static Map<String, String> environment() {
        Map<String, String> variables = new LinkedHashMap<>();
        for (String line : lines("jvm.environment")) {
            int equals = line.indexOf('=');
            variables.put(line.substring(0, equals), line.substring(equals + 1));
        }
        return variables;
    }

    private static List<String> lines(String file) {
        try (InputStream in = JvmSettings.class.getResourceAsStream(file)) {
            if (in == null) {
                throw new IllegalStateException(file + " is missing from the jar of qlora4j-app");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8)
                    .lines()
                    .filter(line -> !line.isBlank() && !line.startsWith("#"))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}

package org.qlora4j.app.chat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.error.ConfigException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A conversation in a file, as a record of training data: {@code {"messages": [...]}}. */
final class SavedChat {
    private SavedChat() {}

    static void write(Path file, List<Map<String, Object>> messages) {
        String text = JsonMapper.shared().writeValueAsString(Map.of("messages", messages));
        AtomicFiles.writeText(file, text + "\n");
    }

    /**
     * Reads one.
     *
     * @throws ConfigException if the file cannot be read, or does not hold one conversation
     */
    static List<Map<String, Object>> read(Path file) {
        List<String> lines;
        JsonNode stored;
        try {
            lines = Files.readAllLines(file).stream().filter(line -> !line.isBlank()).toList();
            stored = JsonMapper.shared().readTree(lines.isEmpty() ? "{}" : lines.getFirst());
        } catch (IOException e) {
            throw ConfigException.of("%s cannot be read: %s", file, AtomicFiles.reason(e));
        } catch (JacksonException e) {
            throw ConfigException.of("%s is no conversation that /save wrote", file);
        }
        if (lines.size() > 1) {
            throw ConfigException.of(
                    "%s holds %d records; keep one conversation, in one line", file, lines.size());
        }
        List<Map<String, Object>> out = new ArrayList<>();
        for (JsonNode message : stored.path("messages")) {
            String role = message.path("role").asString("");
            if (role.isEmpty() || !message.path("content").isString()) {
                throw ConfigException.of(
                        "%s: messages[%d] must have role and content, both text", file, out.size());
            }
            out.add(ChatSession.message(role, message.path("content").asString()));
        }
        if (out.isEmpty()) {
            throw ConfigException.of("%s is no conversation that /save wrote", file);
        }
        return out;
    }
}

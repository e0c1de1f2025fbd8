package org.qlora4j.ask;

import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.JsonNumber;
import org.qlora4j.checkpoint.LineLog;
import org.qlora4j.error.FormatException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Calls and replies in a file of JSON Lines: transcript and cache in one ({@link LineLog}). */
public final class CallJournal implements AutoCloseable {
    private static final JsonMapper JSON = new JsonMapper();

    private final LineLog log;
    private final Map<String, Entry> entries = new HashMap<>();

    /**
     * A reply and when it came.
     *
     * @param date in ISO 8601, UTC
     */
    public record Entry(ChatReply reply, String date) {}

    private CallJournal(LineLog log) {
        this.log = log;
    }

    /**
     * Opens a journal, made new unless it exists.
     *
     * @throws org.qlora4j.error.ConfigException if another process writes to it
     * @throws FormatException naming the line that is no call
     */
    public static CallJournal open(Path file) {
        CallJournal journal = new CallJournal(LineLog.open(file));
        try {
            int number = 0;
            for (String line : journal.log.lines()) {
                journal.read(line, ++number);
            }
            return journal;
        } catch (RuntimeException e) {
            journal.close();
            throw e;
        }
    }

    private void read(String line, int number) {
        JsonNode json;
        try {
            json = JSON.readTree(line);
        } catch (JacksonException e) {
            json = JSON.missingNode();
        }
        JsonNode key = json.path("key");
        JsonNode reply = json.path("reply");
        JsonNode logprobs = reply.path("logprobs");
        if (!key.isString()
                || !reply.path("text").isString()
                || !logprobs.valueStream().allMatch(JsonNode::isNumber)) {
            throw FormatException.of(
                    "%s:%d is no line of a transcript; name another --out", log.file(), number);
        }
        List<Double> logs = new ArrayList<>();
        logprobs.forEach(p -> logs.add(JsonNumber.of(p)));
        entries.put(
                key.asString(),
                new Entry(
                        new ChatReply(
                                reply.path("text").asString(),
                                reply.path("prompt_tokens").asInt(0),
                                reply.path("completion_tokens").asInt(0),
                                reply.path("finish_reason").asString(""),
                                logs),
                        json.path("date").asString("")));
    }

    /** The reply to a call, null if it was not asked yet. */
    public synchronized @Nullable Entry find(ChatModel model, ChatCall call) {
        return entries.get(call.key(model.identity()));
    }

    /** Adds a reply, on the disk at once. */
    private synchronized void add(ChatModel model, ChatCall call, ChatReply reply) {
        String key = call.key(model.identity());
        String date = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
        Map<String, Object> told = new LinkedHashMap<>();
        told.put("text", reply.text());
        told.put("prompt_tokens", reply.promptTokens());
        told.put("completion_tokens", reply.newTokens());
        told.put("finish_reason", reply.finishReason());
        if (!reply.logProbabilities().isEmpty()) {
            told.put("logprobs", reply.logProbabilities());
        }
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("key", key);
        line.put("date", date);
        line.put("model", model.name());
        line.putAll(call.json());
        line.put("reply", told);
        log.append(JSON.writeValueAsString(line));
        entries.put(key, new Entry(reply, date));
    }

    /** What has not been asked of the calls, each once. */
    public synchronized List<ChatCall> missing(ChatModel model, List<ChatCall> calls) {
        Map<String, ChatCall> missing = new LinkedHashMap<>();
        for (ChatCall call : calls) {
            String key = call.key(model.identity());
            if (!entries.containsKey(key)) {
                missing.putIfAbsent(key, call);
            }
        }
        return List.copyOf(missing.values());
    }

    /**
     * Replies to all calls: those that stand here, and those of the model to the rest.
     *
     * @param onReply runs after each new reply
     */
    public List<Entry> answer(ChatModel model, List<ChatCall> calls, Runnable onReply) {
        List<ChatCall> missing = missing(model, calls);
        if (!missing.isEmpty()) {
            model.answer(
                    missing,
                    (index, reply) -> {
                        add(model, missing.get(index), reply);
                        onReply.run();
                    });
        }
        List<Entry> out = new ArrayList<>();
        for (ChatCall call : calls) {
            Entry entry = find(model, call);
            if (entry == null) {
                throw new IllegalStateException(model.name() + " left a call without a reply");
            }
            out.add(entry);
        }
        return out;
    }

    /** Lets other processes have the file. */
    @Override
    public void close() {
        log.close();
    }
}

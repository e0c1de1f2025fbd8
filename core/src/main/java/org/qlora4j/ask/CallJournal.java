package org.qlora4j.ask;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.FormatException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Calls and replies in a file of JSON Lines: transcript and cache in one. A line is forced to the
 * disk before its reply counts, so a killed run loses none that it has told of; a line that the
 * kill cut is dropped. One process at a time.
 */
public final class CallJournal implements AutoCloseable {
    private static final JsonMapper JSON = new JsonMapper();

    private final Path file;
    private final FileChannel channel;
    private final Map<String, Entry> entries = new HashMap<>();

    /**
     * A reply and when it came.
     *
     * @param date in ISO 8601, UTC
     */
    public record Entry(ChatReply reply, String date) {}

    private CallJournal(Path file, FileChannel channel) {
        this.file = file;
        this.channel = channel;
    }

    /**
     * Opens a journal, made new unless it exists.
     *
     * @throws ConfigException if another process writes to it
     * @throws FormatException naming the line that is no call
     */
    public static CallJournal open(Path file) {
        FileChannel channel = null;
        try {
            channel =
                    FileChannel.open(
                            file,
                            StandardOpenOption.CREATE,
                            StandardOpenOption.READ,
                            StandardOpenOption.WRITE);
            lock(file, channel);
            CallJournal journal = new CallJournal(file, channel);
            journal.read();
            return journal;
        } catch (IOException e) {
            closeQuietly(channel);
            throw new DeviceException("%s cannot be opened: %s".formatted(file, e), e);
        } catch (RuntimeException e) {
            closeQuietly(channel);
            throw e;
        }
    }

    private static void lock(Path file, FileChannel channel) throws IOException {
        boolean locked;
        try {
            locked = channel.tryLock() != null;
        } catch (OverlappingFileLockException e) { // another of this JVM
            locked = false;
        }
        if (!locked) {
            throw ConfigException.of(
                    "%s is in use by another process; wait until it ends, or name another --out",
                    file);
        }
    }

    private static void closeQuietly(@Nullable FileChannel channel) {
        try {
            if (channel != null) {
                channel.close();
            }
        } catch (IOException e) {
            // nothing was written that counts
        }
    }

    private void read() throws IOException {
        long size = channel.size();
        if (size > Integer.MAX_VALUE - 8) {
            throw FormatException.of("%s is larger than 2 GiB; name another --out", file);
        }
        ByteBuffer bytes = ByteBuffer.allocate((int) size);
        while (bytes.hasRemaining() && channel.read(bytes, bytes.position()) >= 0) {
            // goes on
        }
        int whole = bytes.position();
        while (whole > 0 && bytes.get(whole - 1) != '\n') {
            whole--;
        }
        channel.truncate(whole); // what a killed run had not written to its end
        channel.position(whole);
        String text = new String(bytes.array(), 0, whole, StandardCharsets.UTF_8);
        int number = 0;
        for (String line : text.split("\n")) {
            number++;
            if (!line.isBlank()) {
                read(line, number);
            }
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
        if (!key.isString() || !reply.path("text").isString()) {
            throw FormatException.of(
                    "%s:%d is no line of a transcript; name another --out", file, number);
        }
        List<Double> logs = new ArrayList<>();
        reply.path("logprobs").forEach(p -> logs.add(p.asDouble()));
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
        ByteBuffer bytes =
                ByteBuffer.wrap(
                        (JSON.writeValueAsString(line) + "\n").getBytes(StandardCharsets.UTF_8));
        try {
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
            channel.force(false);
        } catch (IOException e) {
            throw new DeviceException(
                    "%s cannot be written: %s; what stands in it is kept".formatted(file, e), e);
        }
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
        closeQuietly(channel);
    }
}

package org.qlora4j.judge;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.ask.ChatCall;
import org.qlora4j.ask.ChatMessage;
import org.qlora4j.error.FormatException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Prompts for a judge, and which serves which category of questions, in the paper's layout: a file
 * of prompts, a file of reviewers. The ones that come with qlora4j are written in words of its own.
 *
 * @param prompts in the order of their file
 * @param reviewers in the order of theirs
 * @param digest SHA-256 of both, so that ratings by other prompts are told apart
 */
public record JudgePrompts(List<Prompt> prompts, List<Reviewer> reviewers, String digest) {
    private static final JsonMapper JSON = new JsonMapper();

    private static final Pattern PLACEHOLDER =
            Pattern.compile("\\{(question|answer_1|answer_2|prompt)}");

    public JudgePrompts {
        prompts = List.copyOf(prompts);
        reviewers = List.copyOf(reviewers);
    }

    /**
     * What a judge is given.
     *
     * @param template with {question}, {answer_1}, {answer_2} and {prompt}
     * @param task the text for {prompt}
     */
    record Prompt(int id, String system, String template, String task) {}

    /**
     * A category of questions and how it is judged.
     *
     * @param temperature of its replies
     * @param maxTokens of its replies
     */
    record Reviewer(String category, int promptId, double temperature, int maxTokens) {}

    /**
     * Reads prompts.
     *
     * @param promptFile null for the ones that come with qlora4j
     * @param reviewerFile likewise
     */
    public static JudgePrompts read(
            JudgeMode mode, @Nullable Path promptFile, @Nullable Path reviewerFile) {
        String prompts = promptFile == null ? own(mode.key()) : text(promptFile);
        String reviewers = reviewerFile == null ? own("reviewers") : text(reviewerFile);
        List<Prompt> read = new ArrayList<>();
        for (JsonNode json : lines(String.valueOf(promptFile), prompts)) {
            read.add(
                    new Prompt(
                            json.path("prompt_id").asInt(read.size() + 1),
                            json.path("system_prompt").asString(""),
                            required(promptFile, json, "prompt_template"),
                            json.path("defaults").path("prompt").asString("")));
        }
        List<Reviewer> who = new ArrayList<>();
        for (JsonNode json : lines(String.valueOf(reviewerFile), reviewers)) {
            who.add(
                    new Reviewer(
                            json.path("category").asString(""),
                            json.path("prompt_id").asInt(1),
                            json.path("metadata").path("temperature").asDouble(0.2),
                            json.path("metadata").path("max_tokens").asInt(1024)));
        }
        return new JudgePrompts(read, who, ChatCall.digest(prompts + "\n" + reviewers));
    }

    private static String required(@Nullable Path file, JsonNode json, String field) {
        if (!json.path(field).isString()) {
            throw FormatException.of("%s: a prompt for a judge needs %s", file, field);
        }
        return json.path(field).asString();
    }

    private static String own(String name) {
        String resource = name + ".jsonl";
        try (InputStream in = JudgePrompts.class.getResourceAsStream(resource)) {
            return new String(
                    Objects.requireNonNull(in, resource).readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String text(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new FormatException("%s cannot be read: %s".formatted(file, e), e);
        }
    }

    private static List<JsonNode> lines(String file, String text) {
        List<JsonNode> out = new ArrayList<>();
        int number = 0;
        for (String line : text.split("\n")) {
            number++;
            if (line.isBlank()) {
                continue;
            }
            try {
                out.add(JSON.readTree(line));
            } catch (JacksonException e) {
                throw new FormatException("%s:%d: not JSON".formatted(file, number), e);
            }
        }
        if (out.isEmpty()) {
            throw FormatException.of("%s is empty", file);
        }
        return out;
    }

    /** Index of the reviewer of a category: the one of that name, else the first. */
    int reviewer(String category) {
        for (int i = 0; i < reviewers.size(); i++) {
            if (reviewers.get(i).category().equals(category)) {
                return i;
            }
        }
        return 0;
    }

    private Prompt promptOf(Reviewer reviewer) {
        return prompts.stream()
                .filter(p -> p.id() == reviewer.promptId())
                .findFirst()
                .orElse(prompts.getFirst()); // as for OA, which has one for all
    }

    /**
     * The chat that a judge answers.
     *
     * @param labels whether it replies with the verdict alone
     */
    List<ChatMessage> messages(Comparison pair, boolean labels) {
        Prompt prompt = promptOf(reviewers.get(reviewer(pair.question().category())));
        String task =
                prompt.task() + (labels ? "\nDo not explain. Reply with the numbers alone." : "");
        Map<String, String> values =
                Map.of(
                        "question", pair.question().text(),
                        "answer_1", pair.one().text(),
                        "answer_2", pair.two().text(),
                        "prompt", task);
        // in one pass, so that braces in an answer stay what they are
        Matcher place = PLACEHOLDER.matcher(prompt.template());
        String text =
                place.replaceAll(found ->
                        Matcher.quoteReplacement(String.valueOf(values.get(found.group(1)))));
        return prompt.system().isEmpty()
                ? List.of(ChatMessage.user(text))
                : List.of(new ChatMessage("system", prompt.system()), ChatMessage.user(text));
    }
}

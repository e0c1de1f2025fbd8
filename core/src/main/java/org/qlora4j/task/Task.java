package org.qlora4j.task;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.task.TaskConfig.Prompt;

/** A task with its documents, ready to be asked. */
final class Task {
    private final TaskConfig config;
    private final TaskDocuments documents;
    private final int numFewshot;
    private final DocumentPrompt prompt;
    private final DocumentPrompt fewshotPrompt;
    private final boolean choicesAreQuestions;
    private final boolean severalTargets;

    private Task(TaskConfig config, TaskDocuments documents, int numFewshot) {
        this.config = config;
        this.documents = documents;
        this.numFewshot = numFewshot;
        boolean hasChoices = config.prompt().choice() != null;
        String where = config.file().toString();
        this.prompt = new DocumentPrompt(config.prompt(), documents.fields(), hasChoices, where);
        this.fewshotPrompt =
                new DocumentPrompt(
                        config.fewshot().prompt(), documents.fields(), hasChoices, where);
        // as the harness: the first document shows which kind they all are
        Map<String, Object> first = documents.evaluated().getFirst();
        this.choicesAreQuestions = hasChoices && prompt.text(first) instanceof Long;
        this.severalTargets = prompt.target(first) instanceof List;
        if (config.output() == OutputType.MULTIPLE_CHOICE && !hasChoices) {
            throw FormatException.of("%s: doc_to_choice is missing", where);
        }
    }

    /** A task whose documents are there already; no examples stand before them. */
    static Task of(TaskConfig config, TaskDocuments documents) {
        return new Task(config, documents, 0);
    }

    /**
     * Reads a task's documents.
     *
     * @param options whose {@code numFewshot} counts unless the file sets 0
     */
    static Task load(TaskConfig config, TaskOptions options) {
        Integer own = config.numFewshot();
        Integer wanted = options.numFewshot();
        int shots = wanted != null && !Objects.equals(own, 0) ? wanted : own == null ? 0 : own;
        return new Task(config, TaskDocuments.read(config, shots), shots);
    }

    TaskConfig config() {
        return config;
    }

    int numFewshot() {
        return numFewshot;
    }

    /** All documents, those beyond a limit too. */
    List<Map<String, Object>> evaluated() {
        return documents.evaluated();
    }

    DocumentPrompt prompt() {
        return prompt;
    }

    boolean severalTargets() {
        return severalTargets;
    }

    boolean choicesAreQuestions() {
        return choicesAreQuestions;
    }

    boolean counts(String metric) {
        return config.metrics().stream().anyMatch(m -> m.name().equals(metric));
    }

    /** The requests of each document that is asked, in order. */
    List<List<TaskRequest>> requests(TaskOptions options, TaskModel model) {
        FewshotSampler sampler =
                new FewshotSampler(
                        config.name(),
                        documents.fewshot(),
                        config.fewshot().firstN(),
                        options.seed());
        List<List<TaskRequest>> all = new ArrayList<>();
        int count = options.documents(documents.evaluated().size());
        for (Map<String, Object> document : documents.evaluated().subList(0, count)) {
            try {
                all.add(requests(document, sampler, options, model));
            } catch (FormatException e) {
                throw new FormatException(
                        "%s, document %d: %s".formatted(config.name(), all.size(), e.getMessage()),
                        e);
            }
        }
        return all;
    }

    private List<TaskRequest> requests(
            Map<String, Object> document,
            FewshotSampler sampler,
            TaskOptions options,
            TaskModel model) {
        List<PromptMessage> before = examples(document, sampler, options);
        return switch (config.output()) {
            case LOGLIKELIHOOD ->
                    List.of(
                            new TaskRequest.LogLikelihood(
                                    context(before, document, options, model),
                                    PythonValue.text(prompt.target(document))));
            case LOGLIKELIHOOD_ROLLING ->
                    List.of(new TaskRequest.Rolling(PythonValue.text(prompt.target(document))));
            case GENERATE_UNTIL -> {
                String context = context(before, document, options, model);
                List<TaskRequest> repeats = new ArrayList<>();
                for (int repeat = 0; repeat < config.repeats(); repeat++) {
                    repeats.add(new TaskRequest.Generate(context, config.generation(), repeat));
                }
                yield repeats;
            }
            case MULTIPLE_CHOICE -> choices(before, document, options, model);
        };
    }

    private List<TaskRequest> choices(
            List<PromptMessage> before,
            Map<String, Object> document,
            TaskOptions options,
            TaskModel model) {
        List<String> choices = prompt.choices(document);
        String genPrefix = config.prompt().genPrefix();
        String delimiter = config.prompt().targetDelimiter();
        if (options.chatTemplate()) {
            boolean keeps =
                    genPrefix != null
                            && !genPrefix.isEmpty()
                            && PythonText.trailingSpaces(genPrefix) == 0;
            delimiter = keeps ? delimiter : "";
        }
        List<TaskRequest> requests = new ArrayList<>();
        if (choicesAreQuestions) {
            String continuation = delimiter + PythonValue.text(prompt.target(document));
            for (String choice : choices) {
                List<PromptMessage> messages = new ArrayList<>(before);
                messages.addAll(turn(choice, prefix(document), "", ""));
                requests.add(
                        new TaskRequest.LogLikelihood(
                                rendered(messages, document, options, model), continuation));
            }
        } else {
            String context = context(before, document, options, model);
            for (String choice : choices) {
                requests.add(
                        config.tokensApart()
                                ? new TaskRequest.NextToken(context, choice)
                                : new TaskRequest.LogLikelihood(context, delimiter + choice));
            }
        }
        if (counts("acc_mutual_info")) {
            for (String choice : choices) {
                requests.add(new TaskRequest.LogLikelihood("", delimiter + choice));
            }
        }
        return requests;
    }

    private String prefix(Map<String, Object> document) {
        return prompt.resolve("gen_prefix", config.prompt().genPrefix(), document);
    }

    /** Description and examples. */
    private List<PromptMessage> examples(
            Map<String, Object> document, FewshotSampler sampler, TaskOptions options) {
        List<PromptMessage> messages = new ArrayList<>();
        Prompt own = config.prompt();
        String instruction = options.systemInstruction();
        String system =
                PromptMessage.joined(
                        instruction == null ? "" : instruction,
                        prompt.resolve("description", own.description(), document),
                        own.fewshotDelimiter());
        if (!system.isEmpty()) {
            messages.add(new PromptMessage("system", system, ""));
        }
        if (numFewshot == 0) {
            return messages;
        }
        boolean sameSplit = Objects.equals(config.fewshot().split(), config.data().test());
        for (Map<String, Object> example : sampler.next(numFewshot, sameSplit ? document : null)) {
            messages.addAll(example(example));
        }
        return messages;
    }

    private List<PromptMessage> example(Map<String, Object> example) {
        Prompt written = fewshotPrompt.prompt();
        List<String> choices = written.choice() == null ? null : fewshotPrompt.choices(example);
        Object question = fewshotPrompt.text(example);
        Object answer = fewshotPrompt.target(example);
        if (choicesAreQuestions && choices != null) {
            question = choice(choices, question);
            choices = null;
        }
        String answerText =
                choices != null && answer instanceof Long
                        ? choice(choices, answer)
                        : PythonValue.text(answer instanceof List<?> list ? first(list) : answer);
        String genPrefix = fewshotPrompt.resolve("gen_prefix", written.genPrefix(), example);
        List<PromptMessage> messages = new ArrayList<>();
        String text = requireText(question);
        if (answerText.isEmpty()) {
            messages.addAll(turn(text, genPrefix, written.targetDelimiter(), ""));
            return messages;
        }
        boolean delimited = genPrefix.isEmpty() || PromptMessage.needsDelimiter(text, genPrefix);
        messages.add(new PromptMessage("user", text, delimited ? written.targetDelimiter() : ""));
        messages.add(
                new PromptMessage(
                        "assistant",
                        PromptMessage.joined(genPrefix, answerText, " "),
                        written.fewshotDelimiter()));
        return messages;
    }

    /** The choice of a number, which counts from the end if it is negative. */
    static String choice(List<String> choices, Object number) {
        long at = number instanceof Long n ? n < 0 ? n + choices.size() : n : -1;
        if (at < 0 || at >= choices.size()) {
            throw FormatException.of("the answer %s is none of %d choices", number, choices.size());
        }
        return choices.get((int) at);
    }

    private static @Nullable Object first(List<?> answers) {
        if (answers.isEmpty()) {
            throw new FormatException("doc_to_target gives an empty list for an example");
        }
        return answers.getFirst();
    }

    private static String requireText(Object question) {
        if (question instanceof String text) {
            return text;
        }
        throw FormatException.of("doc_to_text must give text, got %s", question);
    }

    /** A question that is to be answered. */
    private static List<PromptMessage> turn(
            String question, String genPrefix, String delimiter, String behind) {
        if (genPrefix.isEmpty()) {
            return List.of(new PromptMessage("user", question, ""));
        }
        boolean delimited = PromptMessage.needsDelimiter(question, genPrefix);
        return List.of(
                new PromptMessage("user", question, delimited ? delimiter : ""),
                new PromptMessage("assistant", genPrefix, behind));
    }

    private String context(
            List<PromptMessage> before,
            Map<String, Object> document,
            TaskOptions options,
            TaskModel model) {
        List<PromptMessage> messages = new ArrayList<>(before);
        messages.addAll(
                turn(
                        requireText(prompt.text(document)),
                        prefix(document),
                        config.prompt().targetDelimiter(),
                        ""));
        return rendered(messages, document, options, model);
    }

    private String rendered(
            List<PromptMessage> messages,
            Map<String, Object> document,
            TaskOptions options,
            TaskModel model) {
        if (!options.chatTemplate()) {
            return PromptMessage.text(messages);
        }
        List<Map<String, String>> chat =
                options.fewshotAsMultiturn()
                        ? PromptMessage.turns(messages)
                        : PromptMessage.oneTurn(messages);
        return model.chat(chat, prefix(document).isEmpty());
    }

    /** The document's answer as it is logged. */
    @Nullable Object target(Map<String, Object> document) {
        try {
            return prompt.target(document);
        } catch (FormatException | ConfigException e) {
            return null;
        }
    }
}

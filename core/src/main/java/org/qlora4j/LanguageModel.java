package org.qlora4j;

import static org.qlora4j.error.Require.given;
import static org.qlora4j.error.Require.require;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;
import org.qlora4j.ask.ChatModel;
import org.qlora4j.data.ChatSettings;
import org.qlora4j.data.DataConfig;
import org.qlora4j.data.TrainingSet;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.FormatException;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.family.Models;
import org.qlora4j.generate.BeamConfig;
import org.qlora4j.generate.ConversationSampler;
import org.qlora4j.generate.Generation;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.Generator;
import org.qlora4j.generate.InferenceHead;
import org.qlora4j.generate.SampleConfig;
import org.qlora4j.generate.SampleProgress;
import org.qlora4j.generate.StopReason;
import org.qlora4j.generate.TextOutput;
import org.qlora4j.generate.TextScorer;
import org.qlora4j.kernel.DeviceChoice;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.EmbeddedModel;
import org.qlora4j.model.Labels;
import org.qlora4j.model.Task;
import org.qlora4j.plan.RunInputs;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.run.AdapterFolder;
import org.qlora4j.run.EvalMetrics;
import org.qlora4j.task.LocalTaskModel;
import org.qlora4j.task.TaskChat;
import org.qlora4j.task.TaskLog;
import org.qlora4j.task.TaskModel;
import org.qlora4j.task.TaskRequest;
import org.qlora4j.task.TaskResponse;
import org.qlora4j.task.TaskResults;
import org.qlora4j.task.TaskRun;
import org.qlora4j.task.TaskSuite;
import org.qlora4j.task.TextLikelihood;
import org.qlora4j.template.NamedTemplates;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tokenize.Tokenizer;
import org.qlora4j.train.Evaluation;

/**
 * A language model with its tokenizer and chat template, held in 4 bits, perhaps with an adapter on
 * it. Its memory lies outside the Java heap until {@link #close}.
 *
 * <pre>{@code
 * try (LanguageModel model = LanguageModel.load(Path.of("SmolLM2-135M-Instruct"))) {
 *     System.out.println(model.chat("What is QLoRA?"));
 * }
 * }</pre>
 *
 * <p>A model that is lost without being closed is closed when the collector finds it, with a
 * warning that names it; that may be late.
 *
 * <p>May be used from any thread. All models of the process compute on one thread, one call at a
 * time; others wait. A thread that is interrupted while it waits for an answer gets what there is
 * so far; {@link #start} gives a handle to cancel an answer from elsewhere.
 */
public final class LanguageModel implements AutoCloseable {
    private final ModelPlace place;
    private final HeldModel held;
    private final CausalModel model;
    private final int checkpointRows; // of its tables, before an adapter brings more
    private final Tokenizer baseTokenizer;
    private String template = NamedTemplates.OF_TOKENIZER; // the tokenizer's, by name
    private ChatSettings chats = ChatSettings.DEFAULT;
    private Labels labels = Labels.OF_CONFIG; // of the adapter, if it brings classes
    // changed and read on the engine thread alone
    private boolean generating;

    private LanguageModel(ModelPlace place, CausalModel model, Tokenizer tokenizer) {
        this.place = place;
        this.model = model;
        this.held = new HeldModel(model, tokenizer);
        this.checkpointRows = model.vocabularySize();
        this.baseTokenizer = tokenizer;
        held.watch(this, place.name().toString());
    }

    /**
     * The small chat model that comes with this library ({@link EmbeddedModel}); it needs no
     * download and knows little.
     */
    public static LanguageModel embedded() {
        return load(Path.of(EmbeddedModel.NAME));
    }

    /**
     * Reads a model and holds it as the paper does, {@link QuantConfig#DEFAULT}.
     *
     * @param path a folder in the layout of Hugging Face, a {@code .gguf} file with {@code
     *     config.json} and {@code tokenizer.json} beside it, or the name of a model of the hub such
     *     as {@code org/name}
     * @throws FormatException if a file is missing, damaged or of a kind that is not supported
     */
    public static LanguageModel load(Path path) {
        return load(path, QuantConfig.DEFAULT);
    }

    /**
     * Reads a model.
     *
     * @param path as in {@link #load(Path)}
     * @param quantization how weights are held and in what they compute; where that is bfloat16 and
     *     the device has no instructions for it, float32 with a warning
     * @throws FormatException if a file is missing, damaged or of a kind that is not supported
     */
    public static LanguageModel load(Path path, QuantConfig quantization) {
        return load(path, quantization, DeviceChoice.AUTO);
    }

    /**
     * Reads a model onto a device, which is that of all models of this process.
     *
     * @param path as in {@link #load(Path)}
     * @param quantization as in {@link #load(Path, QuantConfig)}
     * @throws FormatException if a file is missing, damaged or of a kind that is not supported
     * @throws DeviceException if the device cannot be used, or the process computes on another
     */
    public static LanguageModel load(Path path, QuantConfig quantization, DeviceChoice device) {
        given(quantization, "quantization");
        given(device, "device");
        ModelPlace place =
                ModelPlace.of(given(path, "path")); // before the device: a slip is said at once
        Engine.call(() -> Kernels.select(device));
        DType compute = quantization.computeDtype().onThisMachine();
        // before the weights: its errors come at once
        Tokenizer tokenizer = Tokenizer.load(place.folder());
        try {
            CausalModel model =
                    Engine.open(() -> Models.load(place, quantization, compute, false, null));
            return new LanguageModel(place, model, tokenizer);
        } catch (Throwable t) {
            tokenizer.close();
            throw t;
        }
    }

    /**
     * Puts an adapter on this model, in place of one that is there.
     *
     * @param folder of a PEFT LoRA adapter, or of a run, whose newest whole checkpoint is taken
     * @return this model, which from now on writes chats as those were that the adapter learnt
     * @throws FormatException if files are missing or damaged, or belong to another model; the
     *     model is then as before
     */
    public LanguageModel withAdapter(Path folder) {
        given(folder, "folder");
        return onEngine(() -> {
            requireNotGenerating("change the adapter");
            AdapterFolder files = AdapterFolder.of(folder);
            ChatSettings itsChats = files.chats();
            Tokenizer own = files.tokenizer();
            Tokenizer itsTokenizer = own == null ? baseTokenizer : own;
            LoraAdapter before = held.adapter;
            int rowsBefore = model.vocabularySize();
            if (before != null) {
                before.detach();
            }
            try {
                itsTokenizer.useChatTemplate(files.chatTemplate());
                // new tokens come with tables of more rows
                int rows = PeftAdapter.tableRows(files.files()).orElse(checkpointRows);
                model.resizeVocabulary(Math.max(rows, checkpointRows));
                model.relabel(files.labels());
                held.adapter =
                        PeftAdapter.read(
                                files.files(),
                                model.linears(),
                                model.parameters(),
                                model.compute());
            } catch (RuntimeException | Error e) {
                model.resizeVocabulary(rowsBefore);
                model.relabel(labels);
                if (before != null) {
                    before.attach();
                }
                held.closeUnlessBase(itsTokenizer);
                held.tokenizer.useChatTemplate(template);
                throw e;
            }
            held.adapter.attach();
            labels = files.labels();
            if (before != null) {
                before.close();
            }
            speakAs(itsTokenizer, files.chatTemplate(), itsChats);
            return this;
        });
    }

    /**
     * Takes the adapter off, if there is one.
     *
     * @return this model, which computes and writes chats as the base model does
     */
    public LanguageModel withoutAdapter() {
        return onEngine(() -> {
            requireNotGenerating("change the adapter");
            if (held.adapter != null) {
                held.adapter.close();
                held.adapter = null;
                model.resizeVocabulary(checkpointRows);
                labels = Labels.OF_CONFIG;
                model.relabel(labels);
                baseTokenizer.useChatTemplate(NamedTemplates.OF_TOKENIZER);
                speakAs(baseTokenizer, NamedTemplates.OF_TOKENIZER, ChatSettings.DEFAULT);
            }
            return this;
        });
    }

    private void speakAs(Tokenizer newTokenizer, String newTemplate, ChatSettings newChats) {
        if (held.tokenizer != newTokenizer) {
            held.closeUnlessBase(held.tokenizer);
        }
        held.tokenizer = newTokenizer;
        template = newTemplate;
        chats = newChats;
    }

    /**
     * Keeps the head as it is in the checkpoint when text is generated. Otherwise 8 bits are used
     * where they change the probabilities of the next token by less than 0.001 nats.
     *
     * @return this model
     */
    public LanguageModel withExactHead() {
        return onEngine(() -> {
            InferenceHead exact = InferenceHead.exact(model);
            held.head.close();
            held.head = exact;
            return this;
        });
    }

    /**
     * Gives the chat template variables, such as {@code enable_thinking}, over those that an
     * adapter was trained with; an adapter put on later brings its own.
     *
     * @return this model
     */
    public LanguageModel withChatTemplateKwargs(Map<String, ?> variables) {
        given(variables, "variables");
        return onEngine(() -> {
            chats = chats.with(variables);
            return this;
        });
    }

    /**
     * Keeps special tokens that stand in messages of chats letters, so that they cannot end a turn.
     *
     * @return this model
     */
    public LanguageModel withSanitizedControlTokens() {
        return onEngine(() -> {
            chats = chats.sanitizing(true);
            return this;
        });
    }

    /** Whether the checkpoint says how a chat becomes a prompt. */
    public boolean hasChatTemplate() {
        return held.tokenizer.chatTemplate().isPresent();
    }

    /**
     * Answers one message, with the defaults of {@link GenerationConfig}.
     *
     * @throws ConfigException if the model has no chat template, or the message is too long for it
     */
    public String chat(String userMessage) {
        Map<String, Object> message =
                Map.of("role", "user", "content", given(userMessage, "userMessage"));
        return generate(List.of(message), GenerationConfig.DEFAULT, text -> {}).text();
    }

    /**
     * Goes on with a chat.
     *
     * @param messages with {@code role} (such as system, user, assistant) and {@code content}, as
     *     the model's chat template expects them
     * @param onText takes the answer in pieces, as they are generated, on another thread while this
     *     one waits; what it throws ends the answer and is thrown here
     * @throws ConfigException if the model has no chat template, or the chat is too long for it
     * @throws FormatException if the template refuses the chat
     */
    public Answer generate(
            List<? extends Map<String, ?>> messages,
            GenerationConfig config,
            Consumer<String> onText) {
        List<Map<String, Object>> chat = new ArrayList<>();
        given(messages, "messages")
                .forEach(message -> chat.add(new LinkedHashMap<>(given(message, "a message"))));
        return start(new Prompt.Chat(chat), config, onText).await();
    }

    /**
     * Continues a text as it stands, behind the tokens that the tokenizer puts before every text.
     *
     * @param rawPrompt special tokens written in it count as such
     * @param onText as in {@link #generate(List, GenerationConfig, Consumer)}
     * @throws ConfigException if the prompt is empty or too long for the model
     */
    public Answer generate(String rawPrompt, GenerationConfig config, Consumer<String> onText) {
        return start(new Prompt.Raw(given(rawPrompt, "rawPrompt")), config, onText).await();
    }

    /**
     * Begins an answer and does not wait for it.
     *
     * @param onText as in {@link #generate(List, GenerationConfig, Consumer)}
     * @return the way to wait for it and to cancel it; errors come out there
     */
    public PendingAnswer start(Prompt prompt, GenerationConfig config, Consumer<String> onText) {
        given(prompt, "prompt");
        given(config, "config");
        given(onText, "onText");
        return PendingAnswer.begin(cancellable -> {
            requireOpen();
            int[] ids = voice().ids("the prompt", prompt);
            return generate(ids, config, onText, cancellable);
        });
    }

    private Voice voice() {
        return new Voice(
                place.name().toString(),
                held.tokenizer,
                model.maxPositions(),
                held.tokenizer.chatTemplate().orElse(null),
                chats);
    }

    /**
     * Answers requests of many threads in one running batch, by this model and by adapters that are
     * loaded there. Close the service before the model, and put no adapter on the model meanwhile.
     *
     * @throws IllegalStateException if an adapter is on it
     */
    public TextService serve(ServiceConfig config) {
        given(config, "config");
        return onEngine(() -> {
            requireNotGenerating("be served");
            if (held.adapter != null) {
                throw new IllegalStateException("take the adapter off; a service loads its own");
            }
            return new TextService(this, model, held.head.another(), voice(), config);
        });
    }

    private Answer generate(
            int[] prompt,
            GenerationConfig config,
            Consumer<String> onText,
            PendingAnswer cancellable) {
        requireNotGenerating("generate");
        generating = true;
        try {
            TextOutput output = new TextOutput(held.tokenizer.stream(true), config.stopStrings());
            StringBuilder text = new StringBuilder();
            Generation generation =
                    new Generator(model, held.head)
                            .generate(
                                    prompt,
                                    config,
                                    token -> {
                                        if (!ends(token, config)) {
                                            give(output.push(token), text, onText);
                                        }
                                        return !output.isStopped() && !cancellable.isCancelled();
                                    });
            give(output.finish(), text, onText);
            return new Answer(
                    text.toString(),
                    output.isStopped() ? StopReason.STOP_STRING : generation.stopReason(),
                    generation.promptTokens(),
                    generation.tokens().size(),
                    generation.prefillSeconds(),
                    generation.decodeSeconds());
        } finally {
            generating = false;
        }
    }

    /**
     * Answers many prompts together, which takes far less time than one after the other: each step
     * gives every answer a token with one pass over the weights. An answer is a function of its
     * prompt, its seed and {@code batch}.
     *
     * @param prompts each a chat, or a raw text that is continued as it stands
     * @param config that of the first; the seed of each other is one higher
     * @param batch answers at once, at least 1
     * @param onAnswer takes each answer with the index of its prompt at its end, on another thread
     *     while this one waits
     * @throws ConfigException if a prompt is empty or too long, or there is no chat template
     * @throws FormatException if the template refuses a chat
     */
    public List<Answer> generateAll(
            List<Prompt> prompts,
            GenerationConfig config,
            int batch,
            BiConsumer<Integer, Answer> onAnswer) {
        return generateAll(prompts, config, batch, index -> true, onAnswer);
    }

    /**
     * Answers some of many prompts, as {@link #generateAll(List, GenerationConfig, int,
     * BiConsumer)} would answer them among all.
     *
     * @param wanted whether the prompt of an index is to be answered
     * @return the answers to those, in the order of the prompts
     */
    public List<Answer> generateAll(
            List<Prompt> prompts,
            GenerationConfig config,
            int batch,
            IntPredicate wanted,
            BiConsumer<Integer, Answer> onAnswer) {
        given(prompts, "prompts").forEach(prompt -> given(prompt, "a prompt"));
        given(config, "config");
        given(wanted, "wanted");
        given(onAnswer, "onAnswer");
        require(batch >= 1, "batch must be at least 1, got %d", batch);
        return generating(
                "generate",
                () ->
                        BatchAnswers.of(
                                model,
                                held.head,
                                voice(),
                                prompts,
                                index -> config.withSeed(config.seed() + index),
                                batch,
                                wanted,
                                onAnswer));
    }

    /** As {@link #generateAll}, each prompt with settings of its own, its seed too. */
    void generateEach(
            List<Prompt> prompts,
            List<GenerationConfig> configs,
            int batch,
            BiConsumer<Integer, Answer> onAnswer) {
        generating(
                "generate",
                () ->
                        BatchAnswers.of(
                                model,
                                held.head,
                                voice(),
                                prompts,
                                configs::get,
                                batch,
                                index -> true,
                                onAnswer));
    }

    /** log p of each label as the beginning of the answer to each prompt. */
    void scoreLabels(
            List<Prompt> prompts,
            List<List<String>> labels,
            BiConsumer<Integer, LabelScores.OfPrompt> onScore) {
        onEngine(() -> {
            requireNotGenerating("score labels");
            LabelScores.of(model, voice(), prompts, labels, onScore);
            return null;
        });
    }

    /** Tokens of a prompt. */
    int promptTokens(Prompt prompt) {
        return onEngine(() -> voice().ids("the prompt", prompt).length);
    }

    /**
     * This model as one that is asked many things, each kept in a journal. It stays its owner's.
     *
     * @param name what it is called where its replies are kept
     * @param identity tells it from others whose replies may differ, such as {@link TaskLog#stamp}
     * @param batch replies generated together, at least 1
     */
    public ChatModel asChatModel(String name, String identity, int batch) {
        given(name, "name");
        given(identity, "identity");
        require(batch >= 1, "batch must be at least 1, got %d", batch);
        return new LocalChatModel(this, name, identity, batch);
    }

    /**
     * The likeliest continuations of a prompt, by a search with beams.
     *
     * @param config limits and ids that end a text; sampling, penalties and stop strings are
     *     refused
     * @param beams such as {@link #checkpointBeams}
     * @return answers, the best first, at most as many as there are beams; times are those of the
     *     whole search
     * @throws ConfigException if the prompt is empty or too long, or there is no chat template
     */
    public List<Answer> generateBeams(Prompt prompt, GenerationConfig config, BeamConfig beams) {
        return onEngine(() -> {
            requireNotGenerating("generate");
            return BeamAnswers.of(model, held.head, voice(), prompt, config, beams);
        });
    }

    /**
     * The beams that {@code generation_config.json} of the checkpoint asks for; one if it asks for
     * none. No method takes them by itself.
     *
     * @throws FormatException naming a value that is out of range
     */
    public BeamConfig checkpointBeams() {
        return BeamConfig.ofCheckpoint(place.folder());
    }

    /**
     * How likely each token of texts is after those before it. What several texts begin with is
     * computed once.
     *
     * @param texts each as it stands, behind the tokens that the tokenizer puts before every text
     * @throws ConfigException if a text has fewer than two tokens, or more than the model's context
     *     holds
     */
    public List<TokenProbabilities> logProbabilities(List<String> texts) {
        given(texts, "texts").forEach(text -> given(text, "a text"));
        return onEngine(() -> {
            requireNotGenerating("score texts");
            return TokenProbabilities.of(model, held.tokenizer, texts);
        });
    }

    /**
     * How likely whole texts are, of any length: each token is predicted once, in windows of the
     * model's context, as by lm-evaluation-harness' {@code loglikelihood_rolling}.
     *
     * @param tokensAtOnce as in {@link #evaluate}
     * @return for each text, in order
     */
    public List<TextLikelihood> logLikelihoods(List<String> texts, int tokensAtOnce) {
        given(texts, "texts").forEach(text -> given(text, "a text"));
        require(tokensAtOnce >= 1, "tokensAtOnce must be at least 1, got %d", tokensAtOnce);
        return onEngine(() -> {
            requireNotGenerating("score texts");
            return local(tokensAtOnce, 1).likelihoods(texts);
        });
    }

    /**
     * Tells the class of a text, or the number that the model gives it.
     *
     * @param pair a second text beside it; null for none
     * @throws ConfigException if the model classifies no texts, or the text is too long for it
     */
    public Classification classify(String text, @Nullable String pair) {
        return onEngine(() -> {
            requireNotGenerating("classify");
            return TextClassifier.classify(model, held.tokenizer, text, pair);
        });
    }

    /**
     * Classifies texts that have labels, and compares.
     *
     * @param data where they lie, {@code data.dataset}, and how they are read
     * @param batch texts at once
     * @return the loss, and scores by name: accuracy, f1 and matthews_correlation of classes,
     *     pearson and spearmanr of numbers
     * @throws ConfigException if the model classifies no texts
     */
    public EvalMetrics evaluateClasses(DataConfig data, int batch) {
        return onEngine(() -> {
            requireNotGenerating("be evaluated");
            Task.Classify task = TextClassifier.task(model);
            Labels labels = new Labels(task.classes(), task.names());
            try (RunInputs inputs = RunInputs.load(place, labels, data)) {
                TrainingSet texts = inputs.data().train();
                return Objects.requireNonNull(
                        new Evaluation(model, texts, inputs.data().padId(), batch)
                                .measure(0, 0, () -> false),
                        "nobody cancels it");
            }
        });
    }

    /**
     * Asks the model evaluation tasks, as lm-evaluation-harness does.
     *
     * @param tokensAtOnce tokens of a pass over the weights, as in {@link TextScorer}
     * @param textsAtOnce answers that are generated together
     * @param log takes each document as it is answered; null for none
     * @param progress is told how many documents are answered, on another thread while this one
     *     waits
     * @throws FormatException if a document does not fit its task's templates
     */
    public TaskResults evaluate(
            TaskSuite suite,
            int tokensAtOnce,
            int textsAtOnce,
            @Nullable TaskLog log,
            IntConsumer progress) {
        given(suite, "suite");
        given(progress, "progress");
        require(tokensAtOnce >= 1, "tokensAtOnce must be at least 1, got %d", tokensAtOnce);
        require(textsAtOnce >= 1, "textsAtOnce must be at least 1, got %d", textsAtOnce);
        return generating(
                "be evaluated",
                () -> {
                    TaskModel asked = local(tokensAtOnce, textsAtOnce);
                    return TaskRun.run(suite, asked, log, progress);
                });
    }

    /**
     * This model as one that tasks are asked of. It stays its owner's.
     *
     * @param tokensAtOnce as in {@link #evaluate}
     * @param textsAtOnce likewise
     */
    public TaskModel asTaskModel(int tokensAtOnce, int textsAtOnce) {
        return new TaskModel() {
            @Override
            public void answer(List<TaskRequest> requests, BiConsumer<Integer, TaskResponse> done) {
                generating(
                        "be evaluated",
                        () -> {
                            local(tokensAtOnce, textsAtOnce).answer(requests, done);
                            return null;
                        });
            }

            @Override
            public String chat(List<Map<String, String>> messages, boolean open) {
                return new TaskChat(held.tokenizer).text(messages, open);
            }
        };
    }

    private LocalTaskModel local(int tokensAtOnce, int textsAtOnce) {
        return new LocalTaskModel(model, held.tokenizer, tokensAtOnce, textsAtOnce);
    }

    /**
     * Lets the model write conversations alone, as training data for another (Magpie, arXiv
     * 2406.08464): the user's messages too.
     *
     * @param listener is told after every conversation that ends, on another thread while this one
     *     waits
     * @return conversations of messages with role and content; fewer than asked for if too many had
     *     to be dropped
     * @throws ConfigException if the model has no chat template
     */
    public List<List<Map<String, String>>> sampleConversations(
            SampleConfig config, Consumer<SampleProgress> listener) {
        given(config, "config");
        given(listener, "listener");
        return generating(
                "sample",
                () ->
                        ConversationSampler.sample(
                                model, held.head, held.tokenizer, config, listener));
    }

    private boolean ends(int token, GenerationConfig config) {
        return model.eosIds().contains(token) || config.stopTokenIds().contains(token);
    }

    private static void give(String piece, StringBuilder text, Consumer<String> onText) {
        if (!piece.isEmpty()) {
            text.append(piece);
            onText.accept(piece);
        }
    }

    private <T> T onEngine(Callable<T> work) {
        return Engine.call(() -> {
            requireOpen();
            return work.call();
        });
    }

    /**
     * As {@link #onEngine}, for what receivers of text, who are on that thread too, may not begin.
     */
    private <T> T generating(String what, Callable<T> work) {
        return onEngine(() -> {
            requireNotGenerating(what);
            generating = true;
            try {
                return work.call();
            } finally {
                generating = false;
            }
        });
    }

    private void requireOpen() {
        if (held.isClosed()) {
            throw new IllegalStateException("the model " + place.name() + " was closed");
        }
    }

    /** Receivers of text run on the engine thread, so their calls would not wait for the end. */
    private void requireNotGenerating(String what) {
        if (generating) {
            throw new IllegalStateException(
                    "cannot %s while the model generates; wait for the answer".formatted(what));
        }
    }

    /** The model itself, for others in this package. */
    CausalModel model() {
        return model;
    }

    /** Frees the weights and the adapter, once a call that is under way has ended. */
    @Override
    public void close() {
        Engine.run(() -> {
            if (!held.isClosed()) {
                requireNotGenerating("be closed");
                held.close();
            }
        });
    }
}

package org.qlora4j.app.chat;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.IntSupplier;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Answer;
import org.qlora4j.TextService;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.Shown;
import org.qlora4j.error.UserException;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.StopReason;

/**
 * A conversation with a model and its adapters: takes messages, prints answers as they come. A
 * message that begins with a slash is a command. It knows nothing of terminals but their width.
 */
public final class ChatSession {
    /** Commands, in the order of the help. */
    static final List<Command> COMMANDS =
            List.of(
                    new Command("/system", "TEXT", "instructions before all; without TEXT none"),
                    new Command("/reset", "", "begin anew"),
                    new Command(
                            "/save", "FILE", "write the conversation, as data to train on, too"),
                    new Command("/load", "FILE", "go on with one that was saved"),
                    new Command("/adapter", "NAME", "who answers: an adapter, its folder, or none"),
                    new Command("/compare", "TEXT", "let base and adapter answer; keep neither"),
                    new Command("/set", "KEY VALUE", "change a setting; without words show all"),
                    new Command("/help", "", "this list"),
                    new Command("/quit", "", "end, as Ctrl-D does"));

    private static final String HINTS =
            """
            A line that ends with \\ goes on with the next; lines between \""" and \""" are one message.
            Ctrl-C ends an answer, Ctrl-D the program.
            """;

    /**
     * A command.
     *
     * @param words that follow its name
     */
    record Command(String name, String words, String does) {}

    private final TextService service;
    private final PrintWriter out;
    private final IntSupplier width;
    private final List<Map<String, Object>> messages = new ArrayList<>();
    private @Nullable String system;
    private @Nullable String adapter;
    private @Nullable Path file; // that the conversation was saved to or loaded from
    private GenerationConfig config;
    private int answered; // in this conversation: each answer has a seed of its own
    private volatile @Nullable ChatAnswers underWay;

    /**
     * @param adapter that answers, loaded in the service; null for the base
     * @param width cells of the terminal's rows; 0 for no terminal, where nothing is wrapped
     */
    public ChatSession(
            TextService service,
            @Nullable String adapter,
            @Nullable String system,
            GenerationConfig config,
            PrintWriter out,
            IntSupplier width) {
        this.service = service;
        this.adapter = adapter;
        this.system = system;
        this.config = config;
        this.out = out;
        this.width = width;
    }

    /** Ends the answers under way, from any thread. */
    public void interrupt() {
        ChatAnswers answers = underWay;
        if (answers != null) {
            answers.cancel();
        }
    }

    /**
     * Takes a message and does what it says; a user's mistake is printed.
     *
     * @return false if the conversation is over
     */
    public boolean take(String message) {
        String text = message.strip();
        try {
            if (text.equals("/quit") || text.equals("/exit")) {
                return false;
            }
            if (text.startsWith("/")) {
                String[] words = text.split("\\s+", 2);
                command(words[0], words.length < 2 ? "" : words[1]);
            } else if (!text.isEmpty()) {
                say(text);
            }
        } catch (UserException e) {
            tell(oneLine(String.valueOf(e.getMessage())));
        } catch (InvalidPathException e) {
            tell("that is no path: " + oneLine(text));
        }
        out.flush();
        return true;
    }

    private void command(String name, String rest) {
        switch (name) {
            case "/help" -> help();
            case "/system" -> {
                system = rest.isEmpty() ? null : rest;
                tell(system == null ? "no system message" : "system message set");
            }
            case "/reset" -> {
                messages.clear();
                file = null;
                answered = 0;
                tell("a new conversation");
            }
            case "/save" -> save(rest);
            case "/load" -> load(rest);
            case "/adapter" -> changeAdapter(rest);
            case "/compare" -> compare(rest);
            case "/set" -> set(rest);
            default ->
                    throw ConfigException.of(
                            "there is no command %s; /help lists those there are", name);
        }
    }

    private void help() {
        WordWrap wrap = wrap();
        for (Command command : COMMANDS) {
            String call = (command.name() + " " + command.words()).strip();
            out.print(wrap.push("%-15s %s%n".formatted(call, command.does())));
        }
        out.print(wrap.push(HINTS));
    }

    private void say(String text) {
        messages.add(message("user", text));
        Answer answer;
        try {
            answer = answer();
        } catch (UserException e) {
            messages.removeLast();
            throw e;
        }
        answered++;
        if (answer.text().isEmpty() && answer.stopReason() == StopReason.CANCELLED) {
            messages.removeLast();
            tell("(stopped before the first word; the message is forgotten)");
            return;
        }
        messages.add(message("assistant", answer.text()));
        tell(end(answer));
    }

    /** What is said of an end that is not the model's own; empty for none. */
    private static String end(Answer answer) {
        return switch (answer.stopReason()) {
            case CANCELLED -> "(stopped; what came of it is kept)";
            case MAX_NEW_TOKENS ->
                    String.format(
                            Locale.ROOT,
                            "(cut off after %d tokens; /set max_new_tokens N lets more through)",
                            answer.newTokens());
            case CONTEXT_FULL -> "(cut off: the model's context is full; /reset begins anew)";
            case END_OF_TEXT, STOP_STRING -> "";
        };
    }

    private Answer answer() {
        WordWrap wrap = wrap();
        try (ChatAnswers answers = begin()) {
            answers.ask(service, adapter, chat(messages), drawn());
            Answer[] ended = new Answer[1];
            answers.await(
                    (side, piece) -> print(wrap.push(piece)),
                    (side, answer) -> {
                        print(wrap.finish() + "\n");
                        ended[0] = answer;
                    });
            return ended[0];
        } finally {
            underWay = null;
        }
    }

    private ChatAnswers begin() {
        ChatAnswers answers = new ChatAnswers();
        underWay = answers;
        return answers;
    }

    private GenerationConfig drawn() {
        return config.withSeed(config.seed() + answered);
    }

    /** Rows end before the last column, behind which some terminals begin a new row. */
    private WordWrap wrap() {
        int cells = width.getAsInt();
        return new WordWrap(cells == 0 ? Integer.MAX_VALUE : Math.max(2, cells - 1));
    }

    /** A line of ours as rows; nothing for nothing. */
    private String wrapped(String line) {
        WordWrap wrap = wrap();
        return line.isEmpty() ? "" : wrap.push(line + "\n");
    }

    private void tell(String line) {
        print(wrapped(line));
    }

    private void print(String text) {
        if (!text.isEmpty()) {
            out.print(text);
            out.flush();
        }
    }

    /** A message, its role first. */
    static Map<String, Object> message(String role, String content) {
        Map<String, Object> message = new LinkedHashMap<>();
        message.put("role", role);
        message.put("content", content);
        return message;
    }

    private List<Map<String, Object>> chat(List<Map<String, Object>> conversation) {
        List<Map<String, Object>> all = new ArrayList<>();
        if (system != null) {
            all.add(message("system", system));
        }
        all.addAll(conversation);
        return all;
    }

    private void compare(String text) {
        String other =
                adapter == null && service.adapters().size() == 1
                        ? service.adapters().getFirst()
                        : adapter;
        if (other == null) {
            throw new ConfigException(
                    "there is no adapter to compare with; /adapter NAME chooses one");
        }
        List<Map<String, Object>> asked = new ArrayList<>(messages);
        if (!text.isEmpty()) {
            asked.add(message("user", text));
        } else if (asked.isEmpty()) {
            throw new ConfigException("/compare needs a message");
        } else if ("assistant".equals(asked.getLast().get("role"))) {
            asked.removeLast(); // the last message is answered again
        }
        boolean beside = width.getAsInt() >= TwoColumns.NARROWEST;
        try (ChatAnswers answers = begin()) {
            answers.ask(service, null, chat(asked), drawn());
            answers.ask(service, other, chat(asked), drawn());
            if (beside) {
                besideEachOther(answers, other);
            } else {
                underEachOther(answers, other);
            }
        } finally {
            underWay = null;
        }
    }

    private void besideEachOther(ChatAnswers answers, String other) {
        TwoColumns columns = new TwoColumns(out, width.getAsInt());
        columns.titles("base", other);
        answers.await(
                columns::push,
                (side, answer) -> {
                    String end = end(answer);
                    columns.push(side, end.isEmpty() ? "" : "\n" + end);
                    columns.end(side);
                });
    }

    /** The base's answer as it comes, then the adapter's, which came meanwhile. */
    private void underEachOther(ChatAnswers answers, String other) {
        List<WordWrap> wraps = List.of(wrap(), wrap());
        StringBuilder waiting = new StringBuilder();
        boolean[] first = {true};
        tell("-- base");
        answers.await(
                (side, piece) -> {
                    String wrapped = wraps.get(side).push(piece);
                    if (side == 0 || !first[0]) {
                        print(wrapped);
                    } else {
                        waiting.append(wrapped);
                    }
                },
                (side, answer) -> {
                    String end = end(answer);
                    String rest = wraps.get(side).finish() + "\n" + wrapped(end);
                    if (side == 0) {
                        first[0] = false;
                        print(rest + "-- " + other + "\n" + waiting);
                    } else if (first[0]) {
                        waiting.append(rest);
                    } else {
                        print(rest);
                    }
                });
    }

    private void changeAdapter(String rest) {
        if (rest.isEmpty()) {
            List<String> names = service.adapters();
            tell(
                    String.format(
                            Locale.ROOT,
                            "%s answers; loaded: %s",
                            adapter == null ? "the base" : adapter,
                            names.isEmpty() ? "no adapter" : String.join(", ", names)));
            return;
        }
        if (rest.equals("none") || rest.equals("base")) {
            adapter = null;
        } else if (service.adapters().contains(rest)) {
            adapter = rest;
        } else {
            adapter = load(service, rest);
        }
        tell((adapter == null ? "the base" : adapter) + " answers");
    }

    /**
     * Loads what {@code --adapter} and {@code /adapter} name: {@code NAME=DIR}, or a folder whose
     * last part is the name.
     *
     * @return the name
     */
    public static String load(TextService service, String words) {
        int equals = words.indexOf('=');
        Path folder = Path.of(words.substring(equals + 1));
        String name =
                equals > 0
                        ? words.substring(0, equals)
                        : String.valueOf(folder.toAbsolutePath().normalize().getFileName());
        if (!Files.exists(folder)) {
            List<String> names = service.adapters();
            throw ConfigException.of(
                    "%s is neither a folder nor an adapter that is loaded%s",
                    folder, names.isEmpty() ? "" : " (" + String.join(", ", names) + ")");
        }
        service.load(name, folder);
        return name;
    }

    private void save(String rest) {
        Path target = rest.isEmpty() ? file : Path.of(rest);
        if (target == null) {
            throw new ConfigException("/save needs a file");
        }
        if (Files.exists(target) && !target.equals(file)) {
            throw ConfigException.of("%s exists; name another file", target);
        }
        SavedChat.write(target, chat(messages));
        file = target;
        tell(String.format(Locale.ROOT, "%d messages in %s", chat(messages).size(), target));
    }

    private void load(String rest) {
        if (rest.isEmpty()) {
            throw new ConfigException("/load needs a file");
        }
        Path source = Path.of(rest);
        List<Map<String, Object>> read = new ArrayList<>(SavedChat.read(source));
        boolean hasSystem = "system".equals(read.getFirst().get("role"));
        system = hasSystem ? String.valueOf(read.removeFirst().get("content")) : null;
        messages.clear();
        messages.addAll(read);
        file = source;
        tell(
                String.format(
                        Locale.ROOT,
                        "%d messages%s; the last: %s",
                        read.size(),
                        hasSystem ? " and a system message" : "",
                        read.isEmpty() ? "none" : oneLine(last(read))));
    }

    private static String oneLine(String text) {
        return text.replaceAll("\\s+", " ");
    }

    private static String last(List<Map<String, Object>> chat) {
        return Shown.of(chat.getLast().get("role") + ": " + chat.getLast().get("content"));
    }

    private void set(String rest) {
        if (rest.isEmpty()) {
            out.print(GenerationWords.show(config));
            return;
        }
        String[] words = rest.split("[\\s=]+", 2);
        config = GenerationWords.with(config, words[0], words.length < 2 ? "" : words[1]);
        tell(String.format(Locale.ROOT, "%s %s", words[0], words.length < 2 ? "" : words[1]));
    }
}

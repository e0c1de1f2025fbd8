package org.qlora4j.app.chat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import java.util.function.IntSupplier;
import java.util.stream.Stream;
import org.jline.reader.Candidate;
import org.jline.reader.CompletingParsedLine;
import org.jline.reader.EOFError;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.ParsedLine;
import org.jline.reader.Parser;
import org.jline.reader.UserInterruptException;
import org.jline.terminal.Terminal;
import org.jline.terminal.Terminal.Signal;
import org.jline.terminal.TerminalBuilder;
import org.jspecify.annotations.Nullable;
import org.qlora4j.TextService;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads what a person types to a {@link ChatSession}: with JLine's editing, a history of messages
 * and completion where there is a terminal, else line by line without a prompt.
 */
public final class ChatTerminal {
    private static final Logger LOG = LoggerFactory.getLogger(ChatTerminal.class);
    private static final Set<String> NO_EDITING = Set.of("dumb", "dumb-color");

    private final TextService service;
    private final PrintWriter out;
    private final @Nullable Path history;

    /**
     * @param history file that keeps the messages typed, for other conversations; null for none
     */
    public ChatTerminal(TextService service, PrintWriter out, @Nullable Path history) {
        this.service = service;
        this.out = out;
        this.history = history;
    }

    /**
     * Lets a person talk until the end of input or {@code /quit}.
     *
     * @param begin makes the session, given the width of the terminal's rows: 0 without one
     */
    public void talk(Function<IntSupplier, ChatSession> begin) {
        // the probe for grapheme clusters swallows what was typed before it, and its reply may be
        // taken for typed
        TerminalBuilder builder =
                TerminalBuilder.builder().system(true).dumb(true).graphemeCluster(false);
        try (Terminal terminal = builder.build()) {
            if (NO_EDITING.contains(terminal.getType())) {
                talkPlainly(begin.apply(() -> 0));
            } else {
                ChatSession session = begin.apply(terminal::getWidth);
                terminal.handle(Signal.INT, signal -> session.interrupt());
                talkOn(terminal, session);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void talkPlainly(ChatSession session) throws IOException {
        BufferedReader in =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Messages messages = new Messages();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String message = messages.take(line);
            if (message != null && !session.take(message)) {
                return;
            }
        }
    }

    /** Lines without a terminal, put together as {@link Typed} says. */
    private static final class Messages {
        private final StringBuilder begun = new StringBuilder();

        @Nullable String take(String line) {
            begun.append(begun.isEmpty() ? "" : "\n").append(line);
            String text = begun.toString();
            if (!Typed.isWhole(text)) {
                return null;
            }
            begun.setLength(0);
            return Typed.message(text);
        }
    }

    private void talkOn(Terminal terminal, ChatSession session) {
        LineReader reader = reader(terminal);
        out.println("/help lists commands; Ctrl-D ends");
        out.flush();
        while (true) {
            try {
                if (!session.take(Typed.message(reader.readLine("> ")))) {
                    return;
                }
            } catch (UserInterruptException e) { // what was typed is forgotten
                if (e.getPartialLine().isBlank()) {
                    out.println("Ctrl-D ends");
                    out.flush();
                }
            } catch (EndOfFileException e) {
                return;
            }
        }
    }

    private LineReader reader(Terminal terminal) {
        LineReaderBuilder builder =
                LineReaderBuilder.builder()
                        .terminal(terminal)
                        .parser(new MessageParser())
                        .completer((reader, line, candidates) -> complete(line, candidates))
                        .variable(LineReader.SECONDARY_PROMPT_PATTERN, ". ")
                        .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true)
                        .option(LineReader.Option.INSERT_TAB, false)
                        .option(LineReader.Option.HISTORY_TIMESTAMPED, false);
        if (history != null) {
            LOG.info("messages are kept in {}", history);
            builder.variable(LineReader.HISTORY_FILE, history.toAbsolutePath());
        }
        return builder.build();
    }

    /** A message is whole or goes on; its words matter to completion alone. */
    private static final class MessageParser implements Parser {
        @Override
        public ParsedLine parse(String line, int cursor, ParseContext context) {
            if (context == ParseContext.ACCEPT_LINE && !Typed.isWhole(line)) {
                throw new EOFError(-1, line.length(), "the message goes on");
            }
            return new Words(line, cursor);
        }
    }

    /** A line's words, cut at blanks, up to the cursor. */
    private record Words(String line, int cursor) implements CompletingParsedLine {
        @Override
        public List<String> words() {
            return List.of(line.substring(0, cursor).split("\\s+", -1));
        }

        @Override
        public String word() {
            return words().getLast();
        }

        @Override
        public int wordCursor() {
            return word().length();
        }

        @Override
        public int wordIndex() {
            return words().size() - 1;
        }

        @Override
        public CharSequence escape(CharSequence candidate, boolean complete) {
            return candidate;
        }

        @Override
        public int rawWordCursor() {
            return wordCursor();
        }

        @Override
        public int rawWordLength() {
            return wordCursor();
        }
    }

    private void complete(ParsedLine line, List<Candidate> candidates) {
        List<String> words = line.words();
        Stream<String> known =
                words.size() == 1 && words.getFirst().startsWith("/")
                        ? ChatSession.COMMANDS.stream().map(ChatSession.Command::name)
                        : words.size() != 2
                                ? Stream.of()
                                : switch (words.getFirst()) {
                                    case "/adapter" ->
                                            Stream.concat(
                                                    service.adapters().stream(), Stream.of("none"));
                                    case "/set" -> GenerationWords.KEYS.stream();
                                    default -> Stream.of();
                                };
        known.map(Candidate::new).forEach(candidates::add);
    }
}

package org.qlora4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.data.ChatTurns.Draft;
import org.qlora4j.data.ChatTurns.Turn;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Chats as the chat template writes them ({@link ChatWriter}); every turn of the roles that are
 * learnt (the assistant's, if not told otherwise), its end-of-turn token included, is learnt
 * ({@link ChatTurns}). Each is learnt after just what stands before it when the model is used.
 *
 * <p>A template that ends its answers with no special token would leave a model that never stops:
 * then the end-of-text token is put behind the last answer.
 */
final class ChatEncoder implements ExampleEncoder {
    private final DatasetFormat format;
    private final DataConfig config;
    private final Affix eos;
    private final ChatReader reader;
    private final ChatWriter writer;
    private final ChatTurns turns;
    private final List<String> roleNames;

    ChatEncoder(
            DatasetFormat format,
            DataConfig config,
            Tokenizer tokenizer,
            SpecialIds special,
            ChatRenderer template) {
        this.format = format;
        this.config = config;
        this.eos = Affix.of(special.eos(), tokenizer);
        Roles roles = new Roles(config.roles(), template::names);
        this.roleNames = config.rolesToTrain().stream().map(roles::ofSetting).toList();
        this.reader = new ChatReader(roles);
        this.writer =
                new ChatWriter(
                        template,
                        tokenizer,
                        special.eos(),
                        config.chatTemplateKwargs(),
                        config.sanitizeControlTokens());
        this.turns = new ChatTurns(writer, config);
    }

    @Override
    public List<Encoded> encode(Row row) {
        List<Encoded> examples = new ArrayList<>();
        for (Chat given : reader.all(row, format)) {
            List<String> told = new ArrayList<>();
            Chat chat = writer.prepare(row, given, told);
            List<Integer> trained = trained(chat);
            List<Draft> drafts = turns.drafts(row, chat, trained, told);
            told.addAll(missing(row, chat, drafts));
            for (Draft draft : drafts) {
                Encoded one = fit(row, draft);
                boolean none = one.example().labelTokens() == 0 && !one.example().truncated();
                if (none) {
                    told.add(whyNothing(chat, trained));
                }
                examples.add(one.with(told));
                told = new ArrayList<>();
            }
        }
        return examples;
    }

    private String whyNothing(Chat chat, List<Integer> trained) {
        Set<String> roles = new LinkedHashSet<>();
        chat.messages().forEach(m -> roles.add(String.valueOf(m.get("role"))));
        boolean left =
                IntStream.range(0, chat.messages().size())
                        .anyMatch(i -> roleNames.contains(chat.role(i)));
        return trained.isEmpty() && !left
                ? "nothing is learnt from messages of %s alone; data.roles_to_train has %s"
                        .formatted(String.join(", ", roles), String.join(", ", roleNames))
                : trained.isEmpty()
                        ? "nothing is learnt where weight or train leave out every answer"
                        : "nothing is learnt where the chat template writes nothing for the answers, those of %s"
                                .formatted(String.join(", ", roleNames));
    }

    /** The places of the messages that are learnt. */
    private List<Integer> trained(Chat chat) {
        List<Integer> trained = new ArrayList<>();
        for (int i = 0; i < chat.messages().size(); i++) {
            if (chat.isTrained(i, roleNames)) {
                trained.add(i);
            }
        }
        return config.maskHistory() && trained.size() > 1 ? List.of(trained.getLast()) : trained;
    }

    /**
     * What of a record is not in the texts made of it: parts that the template does not write,
     * words of messages, columns.
     */
    private List<String> missing(Row row, Chat chat, List<Draft> drafts) {
        List<String> missing = new ArrayList<>();
        List<String> parts = writer.probe().unwritten(chat);
        if (!parts.isEmpty()) {
            missing.add("the chat template does not write " + String.join(", ", parts));
        }
        StringBuilder all = new StringBuilder();
        for (int i = 0; i < chat.messages().size(); i++) {
            all.append(Words.of(chat.messages().get(i))).append('\n');
            String left = leftOut(chat, i, drafts);
            if (!left.isEmpty()) {
                missing.add("the chat template leaves out " + left);
            }
        }
        all.append(chat.tools());
        for (String column : SideColumns.unused(row, all.toString())) {
            missing.add(
                    "the column %s is not used; data.columns names its place".formatted(column));
        }
        return missing;
    }

    /**
     * What of a message's words is not in the text that it is learnt or read in; empty if all is.
     */
    private static String leftOut(Chat chat, int place, List<Draft> drafts) {
        Draft in = null;
        for (Draft draft : drafts) {
            boolean has = place < draft.chat().messages().size();
            if (has && (in == null || draft.trained().contains(place))) {
                in = draft;
            }
        }
        if (in == null) {
            return "";
        }
        String words = Words.of(chat.messages().get(place));
        if (Words.areIn(words, in.text())) {
            return "";
        }
        String spoken = chat.role(place).equals("assistant") ? Words.withoutThought(words) : words;
        if (!Words.areIn(spoken, in.text())) {
            return "words of messages of role " + chat.role(place);
        }
        // templates do so with earlier answers, which are read only
        return in.trained().contains(place) ? "the thoughts that answers begin with" : "";
    }

    /** A draft as an example that the limits allow. */
    private Encoded fit(Row row, Draft draft) {
        Encoded whole = example(row, draft.text(), draft.turns());
        int limit = config.sourceMaxLen() + config.targetMaxLen();
        int fullLength = whole.example().length();
        if (fullLength <= limit) {
            return whole;
        }
        Encoded shorter =
                switch (config.truncation()) {
                    case CUT -> cut(whole, limit);
                    case DROP_LAST_TURNS -> withoutLastTurns(row, draft, limit);
                    case DROP_FIRST_TURNS -> withoutFirstTurns(row, draft, limit);
                    case DROP, REFUSE -> null;
                };
        if (shorter == null) {
            return ExampleEncoder.tooLong(
                    row,
                    whole.example().ids(),
                    limit,
                    "data.source_max_len + data.target_max_len",
                    config.truncation());
        }
        Example e = shorter.example();
        return new Encoded(
                new Example(e.ids(), e.labelled(), e.file(), e.line(), fullLength, e.endCut()),
                shorter.text(),
                0);
    }

    private static Encoded cut(Encoded whole, int limit) {
        Example e = whole.example();
        BitSet labelled = e.labelled().get(0, limit);
        int[] ids = ExampleEncoder.cut(e.ids(), limit);
        return new Encoded(
                new Example(ids, labelled, e.file(), e.line(), e.length(), true), whole.text(), 0);
    }

    private @Nullable Encoded withoutLastTurns(Row row, Draft draft, int limit) {
        for (int count = draft.turns().size() - 1; count >= 1; count--) {
            Encoded shorter =
                    example(
                            row,
                            draft.turns().get(count - 1).text(),
                            draft.turns().subList(0, count));
            if (shorter.example().length() <= limit) {
                return shorter;
            }
        }
        return null;
    }

    private @Nullable Encoded withoutFirstTurns(Row row, Draft draft, int limit) {
        Chat chat = draft.chat();
        List<Integer> trained = draft.trained();
        for (Chat less = chat.withoutFirstExchange();
                less != null;
                less = chat.withoutFirstExchange()) {
            trained = kept(chat, less, trained);
            chat = less;
            if (trained.isEmpty()) {
                return null;
            }
            List<Draft> drafts = turns.drafts(row, chat, trained, new ArrayList<>());
            if (drafts.size() != 1) {
                return null;
            }
            Encoded shorter = example(row, drafts.getFirst().text(), drafts.getFirst().turns());
            if (shorter.example().length() <= limit) {
                return shorter;
            }
        }
        return null;
    }

    /** The places in {@code after} of messages that stood in {@code before}. */
    private static List<Integer> kept(Chat before, Chat after, List<Integer> places) {
        int dropped = before.messages().size() - after.messages().size();
        List<Integer> kept = new ArrayList<>();
        for (int place : places) {
            int now = place - dropped;
            if (now >= 0 && after.messages().get(now) == before.messages().get(place)) {
                kept.add(now);
            }
        }
        return kept;
    }

    /**
     * Ids of a text up to the end of its last turn: what follows is never learnt, and nothing later
     * sees it.
     */
    private Encoded example(Row row, String text, List<Turn> turns) {
        List<int[]> pieces = new ArrayList<>();
        BitSet labelled = new BitSet();
        int length = 0;
        int at = 0;
        String before = "";
        String end = "";
        for (Turn turn : turns) {
            String given = text.substring(at, turn.from());
            pieces.add(writer.control().behind(before, given));
            length += pieces.getLast().length;
            String learnt = text.substring(turn.from(), turn.to());
            boolean addsEnd =
                    turn == turns.getLast()
                            && !turn.marked()
                            && !writer.endsInControl(learnt.stripTrailing());
            end = addsEnd ? eos.text() : "";
            int[] piece = writer.control().behind(given.isEmpty() ? before : given, learnt + end);
            pieces.add(addsEnd ? Affix.concat(piece, eos.ids()) : piece);
            labelled.set(length, length + pieces.getLast().length);
            length += pieces.getLast().length;
            before = learnt;
            at = turn.to();
        }
        int[] ids = pieces.stream().flatMapToInt(Arrays::stream).toArray();
        Example example = new Example(ids, labelled, row.file(), row.line(), length, false);
        String said = ControlTokens.plain(text.substring(0, at)) + end;
        return new Encoded(example, said, 0);
    }
}

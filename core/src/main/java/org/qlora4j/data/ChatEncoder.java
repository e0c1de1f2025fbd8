package org.qlora4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.UserException;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Chats as the chat template writes them; every turn of the roles that are learnt (the assistant's,
 * if not told otherwise), its end-of-turn token included, is learnt.
 *
 * <p>Where a turn begins and ends is found with the template alone: an answer begins where the
 * prompt for it ends, and ends where the chat up to it ends. A template that writes earlier turns
 * otherwise once later ones follow (Qwen3 drops their thoughts) makes one example for each turn, so
 * that each is learnt after just what stands before it when the model is used.
 *
 * <p>A template that ends its answers with no special token would leave a model that never stops:
 * then the end-of-text token is put behind the last answer.
 */
final class ChatEncoder implements ExampleEncoder {
    private final DatasetFormat format;
    private final DataConfig config;
    private final Tokenizer tokenizer;
    private final Affix eos;
    private final int eosId;
    private final ChatRenderer template;

    ChatEncoder(
            DatasetFormat format,
            DataConfig config,
            Tokenizer tokenizer,
            SpecialIds special,
            ChatRenderer template) {
        this.format = format;
        this.config = config;
        this.tokenizer = tokenizer;
        this.eosId = special.eos();
        this.eos = Affix.of(eosId, tokenizer);
        this.template = template;
    }

    /**
     * What is learnt: {@code text[from, to)}; {@code text} is the chat up to the end of this turn.
     */
    private record Turn(String text, int from, int to) {}

    /**
     * An example before it is cut to the limits.
     *
     * @param chat the messages it was made of
     * @param trained the places of those that are learnt
     */
    private record Draft(Chat chat, List<Integer> trained, String text, List<Turn> turns) {}

    @Override
    public List<Encoded> encode(Row row) {
        List<Encoded> examples = new ArrayList<>();
        for (Chat chat : Chat.allOf(row, format)) {
            for (Draft draft : drafts(row, chat, trained(chat))) {
                examples.add(fit(row, draft));
            }
        }
        return examples;
    }

    /** The places of the messages that are learnt. */
    private List<Integer> trained(Chat chat) {
        List<Integer> trained = new ArrayList<>();
        for (int i = 0; i < chat.messages().size(); i++) {
            if (chat.isTrained(i, config.rolesToTrain())) {
                trained.add(i);
            }
        }
        return config.maskHistory() && trained.size() > 1 ? List.of(trained.getLast()) : trained;
    }

    private List<Draft> drafts(Row row, Chat chat, List<Integer> trained) {
        int size = chat.messages().size();
        String whole = render(row, chat, size, false);
        if (config.trainOnSource()) {
            return List.of(new Draft(chat, trained, whole, everything(row, chat, trained, whole)));
        }
        List<Turn> turns = new ArrayList<>();
        for (int i : trained) {
            turns.add(turn(row, chat, i));
        }
        if (turns.stream().allMatch(turn -> whole.startsWith(turn.text))) {
            return List.of(new Draft(chat, trained, whole, turns));
        }
        List<Draft> drafts = new ArrayList<>();
        for (int n = 0; n < turns.size(); n++) {
            int place = trained.get(n);
            String text = turns.get(n).text;
            drafts.add(
                    new Draft(chat.first(place + 1), List.of(place), text, List.of(turns.get(n))));
        }
        return drafts;
    }

    /** The whole text, in pieces that end with an answer, so that whole turns can be dropped. */
    private List<Turn> everything(Row row, Chat chat, List<Integer> trained, String whole) {
        List<Turn> turns = new ArrayList<>();
        int from = 0;
        for (int i : trained) {
            String text = render(row, chat, i + 1, false);
            if (i + 1 < chat.messages().size() && whole.startsWith(text) && text.length() > from) {
                turns.add(new Turn(text, from, text.length()));
                from = text.length();
            }
        }
        turns.add(new Turn(whole, from, whole.length()));
        return turns;
    }

    private Turn turn(Row row, Chat chat, int index) {
        String text = render(row, chat, index + 1, false);
        int from;
        if ("assistant".equals(chat.messages().get(index).get("role"))) {
            String prompt = render(row, chat, index, true);
            if (!text.startsWith(prompt)) {
                throw row.error(
                        "messages[%d]: the chat template's prompt for this answer is not how it begins the chat with the answer,"
                                + " so what to learn is unclear; use another chat template, or format input-output",
                        index);
            }
            from = prompt.length();
        } else {
            from = contentIn(row, chat, index, text);
        }
        // After the end-of-turn token templates write a line feed that belongs to the next turn:
        // the model stops before it.
        String trimmed = text.stripTrailing();
        boolean marked = trimmed.length() > from && endsInSpecialToken(trimmed.substring(from));
        return new Turn(text, from, marked ? trimmed.length() : text.length());
    }

    /**
     * Where the words of a message begin: where the text begins to differ if it says something
     * else. Its header, which nobody generates, is not learnt.
     */
    private int contentIn(Row row, Chat chat, int index, String text) {
        Map<String, Object> message = chat.messages().get(index);
        String content = message.get("content") instanceof String s ? s.strip() : "";
        Map<String, Object> other = new LinkedHashMap<>(message);
        other.put("content", content.startsWith("x") ? "y" : "x");
        List<Map<String, Object>> messages = new ArrayList<>(chat.messages().subList(0, index));
        messages.add(other);
        String otherText = render(row, new Chat(messages, chat.tools()), index + 1, false);
        int at = 0;
        int most = Math.min(text.length(), otherText.length());
        while (at < most && text.charAt(at) == otherText.charAt(at)) {
            at++;
        }
        return at;
    }

    private boolean endsInSpecialToken(String text) {
        int[] ids = tokenizer.encode(text);
        if (ids.length == 0) {
            return false;
        }
        int last = ids[ids.length - 1];
        int[] alone = {last};
        return last == eosId
                || (tokenizer.decode(alone, true).isEmpty()
                        && !tokenizer.decode(alone, false).isEmpty());
    }

    private String render(Row row, Chat chat, int count, boolean addGenerationPrompt) {
        List<Map<String, Object>> messages = chat.messages().subList(0, count);
        try {
            return template.render(messages, chat.tools(), addGenerationPrompt);
        } catch (UserException e) {
            List<Map<String, Object>> written = ToolArguments.asText(messages);
            if (written != messages) {
                try {
                    return template.render(written, chat.tools(), addGenerationPrompt);
                } catch (UserException other) {
                    e.addSuppressed(other);
                }
            }
            throw row.error(
                    "the chat template refuses the first %d messages: %s", count, e.getMessage());
        }
    }

    /** A draft as an example that the limits allow. */
    private Encoded fit(Row row, Draft draft) {
        Encoded whole = example(row, draft.text, draft.turns);
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
        for (int count = draft.turns.size() - 1; count >= 1; count--) {
            Encoded shorter =
                    example(row, draft.turns.get(count - 1).text, draft.turns.subList(0, count));
            if (shorter.example().length() <= limit) {
                return shorter;
            }
        }
        return null;
    }

    private @Nullable Encoded withoutFirstTurns(Row row, Draft draft, int limit) {
        Chat chat = draft.chat;
        List<Integer> trained = draft.trained;
        for (Chat less = chat.withoutFirstExchange();
                less != null;
                less = chat.withoutFirstExchange()) {
            trained = kept(chat, less, trained);
            chat = less;
            if (trained.isEmpty()) {
                return null;
            }
            List<Draft> drafts = drafts(row, chat, trained);
            if (drafts.size() != 1) {
                return null;
            }
            Encoded shorter = example(row, drafts.getFirst().text, drafts.getFirst().turns);
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
            String given = text.substring(at, turn.from);
            pieces.add(continued(before, given));
            length += pieces.getLast().length;
            String learnt = text.substring(turn.from, turn.to);
            boolean addsEnd =
                    turn == turns.getLast() && !endsInSpecialToken(learnt.stripTrailing());
            end = addsEnd ? eos.text() : "";
            int[] piece = continued(given.isEmpty() ? before : given, learnt + end);
            pieces.add(addsEnd ? Affix.concat(piece, eos.ids()) : piece);
            labelled.set(length, length + pieces.getLast().length);
            length += pieces.getLast().length;
            before = learnt;
            at = turn.to;
        }
        int[] ids = pieces.stream().flatMapToInt(Arrays::stream).toArray();
        Example example = new Example(ids, labelled, row.file(), row.line(), length, false);
        return new Encoded(example, text.substring(0, at) + end, 0);
    }

    /**
     * Ids of a piece that follows another. Pieces are tokenized apart, so that no token lies across
     * the border of what is learnt, just as a prompt and its answer are apart when the model is
     * used; but a SentencePiece tokenizer puts a space before a text that stands alone, which the
     * piece before it keeps away.
     */
    private int[] continued(String before, String piece) {
        if (before.isEmpty() || piece.isEmpty()) {
            return tokenizer.encode(piece);
        }
        int[] head = tokenizer.encode(before);
        int[] both = tokenizer.encode(before + piece);
        boolean border =
                both.length >= head.length
                        && Arrays.equals(both, 0, head.length, head, 0, head.length);
        return border
                ? Arrays.copyOfRange(both, head.length, both.length)
                : tokenizer.encode(piece);
    }
}

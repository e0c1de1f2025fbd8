package org.qlora4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import org.qlora4j.error.UserException;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Chats as the model's chat template writes them; every turn of the assistant, its end-of-turn
 * token included, is learnt.
 *
 * <p>Where a turn begins and ends is found with the template alone: it begins where the prompt for
 * it ends, and ends where the chat up to it ends. A template that writes earlier turns otherwise
 * once later ones follow (Qwen3 drops their thoughts) makes one example for each turn, so that each
 * is learnt after just what stands before it when the model is used.
 */
final class ChatEncoder implements ExampleEncoder {
    private final DataConfig config;
    private final Tokenizer tokenizer;
    private final ChatRenderer template;

    ChatEncoder(DataConfig config, Tokenizer tokenizer, ChatRenderer template) {
        this.config = config;
        this.tokenizer = tokenizer;
        this.template = template;
    }

    /**
     * What is learnt: {@code text[from, to)}; {@code text} is the chat up to the end of this turn.
     */
    private record Turn(String text, int from, int to) {}

    @Override
    public List<Example> encode(Row row) {
        Chat chat = Chat.of(row);
        String whole = render(row, chat, chat.messages().size(), false);
        if (config.trainOnSource()) {
            return List.of(example(row, whole, List.of(new Turn(whole, 0, whole.length()))));
        }
        List<Turn> turns = new ArrayList<>();
        for (int i = 0; i < chat.messages().size(); i++) {
            if (chat.isTrained(i)) {
                turns.add(turn(row, chat, i));
            }
        }
        if (turns.stream().allMatch(turn -> whole.startsWith(turn.text))) {
            return List.of(example(row, whole, turns));
        }
        return turns.stream().map(turn -> example(row, turn.text, List.of(turn))).toList();
    }

    private Turn turn(Row row, Chat chat, int index) {
        String prompt = render(row, chat, index, true);
        String text = render(row, chat, index + 1, false);
        if (!text.startsWith(prompt)) {
            throw row.error(
                    "messages[%d]: the chat template's prompt for this answer is not how it begins the chat with the answer,"
                            + " so what to learn is unclear; use another chat template, or format input-output",
                    index);
        }
        // After the end-of-turn token templates write a line feed that belongs to the next turn:
        // the model stops before it.
        String trimmed = text.stripTrailing();
        boolean marked =
                trimmed.length() > prompt.length()
                        && endsInSpecialToken(trimmed.substring(prompt.length()));
        return new Turn(text, prompt.length(), marked ? trimmed.length() : text.length());
    }

    private boolean endsInSpecialToken(String text) {
        int[] ids = tokenizer.encode(text);
        int[] last = {ids[ids.length - 1]};
        return tokenizer.decode(last, true).isEmpty() && !tokenizer.decode(last, false).isEmpty();
    }

    private String render(Row row, Chat chat, int count, boolean addGenerationPrompt) {
        try {
            return template.render(
                    chat.messages().subList(0, count), chat.tools(), addGenerationPrompt);
        } catch (UserException e) {
            throw row.error(
                    "the chat template refuses the first %d messages: %s", count, e.getMessage());
        }
    }

    /**
     * Ids of a text up to the end of its last turn: what follows is never learnt, and nothing later
     * sees it.
     */
    private Example example(Row row, String text, List<Turn> turns) {
        List<int[]> pieces = new ArrayList<>();
        BitSet labelled = new BitSet();
        int length = 0;
        int at = 0;
        String before = "";
        for (Turn turn : turns) {
            String given = text.substring(at, turn.from);
            pieces.add(continued(before, given));
            length += pieces.getLast().length;
            String learnt = text.substring(turn.from, turn.to);
            pieces.add(continued(given.isEmpty() ? before : given, learnt));
            labelled.set(length, length + pieces.getLast().length);
            length += pieces.getLast().length;
            before = learnt;
            at = turn.to;
        }
        int[] ids = pieces.stream().flatMapToInt(Arrays::stream).toArray();
        ids = ExampleEncoder.cut(ids, config.sourceMaxLen() + config.targetMaxLen());
        labelled.clear(ids.length, Math.max(ids.length, length));
        return new Example(ids, labelled, row.file(), row.line(), length, length > ids.length);
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

package org.qlora4j.data;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.template.ChatTemplate.Span;

/**
 * Where the turns that are learnt begin and end in the text of a chat.
 *
 * <p>Where a template has {@code generation} tags, these say it. Else it is found by rendering: an
 * answer begins where the prompt for it ends, and ends where the chat up to it ends. Where that
 * prompt opens the answer with words that it does not have ({@code <think>} of reasoning models),
 * it begins where the text would differ if the answer said something else.
 */
final class ChatTurns {
    /** What closes a thought that the prompt has opened, with nothing in it. */
    private static final Pattern EMPTY_THOUGHT =
            Pattern.compile(
                    "\\s*(</\\w+>|<\\w+\\|>|\\[/\\w+\\]|\u25c1/\\w+\u25b7|<\\|/\\w+\\|>)\\s*");

    private final ChatWriter writer;
    private final DataConfig config;

    ChatTurns(ChatWriter writer, DataConfig config) {
        this.writer = writer;
        this.config = config;
    }

    /**
     * What is learnt: {@code text[from, to)}; {@code text} is the chat up to the end of this turn.
     *
     * @param marked whether the template's tags mark it, so that no end is put behind it that they
     *     do not have
     */
    record Turn(String text, int from, int to, boolean marked) {}

    /**
     * An example before it is cut to the limits.
     *
     * @param chat the messages it was made of
     * @param trained the places of those that are learnt
     */
    record Draft(Chat chat, List<Integer> trained, String text, List<Turn> turns) {}

    /**
     * The examples of a chat: one, or one for each turn if the template writes earlier turns
     * otherwise once later ones follow.
     *
     * @param told takes what people should know of it, a sentence each
     */
    List<Draft> drafts(Row row, Chat chat, List<Integer> trained, List<String> told) {
        ChatTemplate.Rendered rendered = writer.render(row, chat, chat.messages().size(), false);
        String whole = rendered.text();
        if (config.trainOnSource()) {
            return List.of(new Draft(chat, trained, whole, everything(row, chat, trained, whole)));
        }
        List<Turn> marked =
                writer.template().marksAnswers()
                        ? marked(row, chat, trained, rendered, told)
                        : null;
        if (marked != null) {
            return List.of(new Draft(chat, trained, whole, marked));
        }
        List<Turn> turns = new ArrayList<>();
        for (int i : trained) {
            turns.add(turn(row, chat, i, told));
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
            String text = writer.render(row, chat, i + 1, false).text();
            if (i + 1 < chat.messages().size() && whole.startsWith(text) && text.length() > from) {
                turns.add(new Turn(text, from, text.length(), false));
                from = text.length();
            }
        }
        turns.add(new Turn(whole, from, whole.length(), false));
        return turns;
    }

    /**
     * The turns that the template's tags mark, those of messages that are not learnt left out. Null
     * where only other roles than the assistant's are learnt, of which tags say nothing, and where
     * it cannot be told which mark belongs to which message.
     */
    private @Nullable List<Turn> marked(
            Row row,
            Chat chat,
            List<Integer> trained,
            ChatTemplate.Rendered whole,
            List<String> told) {
        List<Integer> answers = chat.of("assistant");
        if (trained.stream().noneMatch(answers::contains)) {
            return null;
        }
        List<Turn> turns = new ArrayList<>();
        List<Span> spans = whole.assistant();
        if (trained.containsAll(answers)) {
            spans.forEach(span -> add(turns, whole.text(), span));
        } else {
            int from = 0;
            for (int place : answers) {
                int to =
                        place == answers.getLast()
                                ? spans.size()
                                : writer.render(row, chat, place + 1, false).assistant().size();
                if (to < from || to > spans.size()) {
                    return null;
                }
                for (Span span :
                        trained.contains(place) ? spans.subList(from, to) : List.<Span>of()) {
                    add(turns, whole.text(), span);
                }
                from = to;
            }
        }
        for (int place : trained) {
            if (!answers.contains(place)) {
                Turn turn = turn(row, chat, place, told);
                if (!whole.text().startsWith(turn.text)) {
                    return null;
                }
                turns.add(turn);
            }
        }
        turns.sort(Comparator.comparingInt(Turn::from));
        Turn last = turns.isEmpty() ? null : turns.getLast();
        if (last != null && !writer.endsInControl(last.text.substring(last.from, last.to))) {
            told.add(
                    "the chat template's generation tags mark no end token behind an answer, so that the model will not learn to stop");
        }
        return turns;
    }

    private void add(List<Turn> turns, String text, Span span) {
        Turn turn = trimmed(text.substring(0, span.end()), span.start());
        if (turn.to > turn.from) {
            turns.add(new Turn(turn.text, turn.from, turn.to, true));
        }
    }

    private Turn turn(Row row, Chat chat, int index, List<String> told) {
        String text = writer.render(row, chat, index + 1, false).text();
        int from =
                chat.role(index).equals("assistant")
                        ? answerIn(row, chat, index, text, told)
                        : contentIn(row, chat, index, text);
        return trimmed(
                writer.probe().opensAlways() ? closed(row, chat, index, text, from) : text, from);
    }

    /** The text up to the end of a turn, without the opening of the next one behind it. */
    private String closed(Row row, Chat chat, int index, String text, int from) {
        List<Map<String, Object>> longer = new ArrayList<>(chat.first(index + 1).messages());
        longer.add(Map.of("role", "user", "content", "a"));
        String more = writer.attempt(row, chat.with(longer), index + 2, false);
        int end = more == null ? text.length() : commonLength(text, more);
        int eos = text.indexOf(writer.eos(), from);
        if (!writer.eos().isEmpty() && eos >= 0) {
            end = Math.min(end, eos + writer.eos().length());
        }
        return text.substring(0, end);
    }

    /**
     * A turn up to the end of a text. After the end-of-turn token templates write a line feed that
     * belongs to the next turn: the model stops before it.
     */
    private Turn trimmed(String text, int from) {
        String trimmed = text.stripTrailing();
        boolean marked = trimmed.length() > from && writer.endsInControl(trimmed.substring(from));
        return new Turn(text, from, marked ? trimmed.length() : text.length(), false);
    }

    /** Where an answer begins in the text up to its end. */
    private int answerIn(Row row, Chat chat, int index, String text, List<String> told) {
        String prompt =
                index == 0
                        ? writer.attempt(row, chat, 0, true)
                        : writer.render(row, chat, index, true).text();
        if (prompt != null && text.startsWith(prompt)) {
            return prompt.length() + emptyThought(row, chat, index, text, prompt.length());
        }
        int from = contentIn(row, chat, index, text);
        int shared = prompt == null ? 0 : commonLength(prompt, text);
        if (from >= text.stripTrailing().length()) {
            // nothing of its words is written, as beside a call in some templates
            Matcher empty = EMPTY_THOUGHT.matcher(text).region(shared, text.length());
            from = empty.lookingAt() ? empty.end() : shared;
        }
        if (from == 0 && index > 0) {
            throw row.error(
                    "messages[%d]: the chat template's text does not show where this answer begins, so what to learn is unclear; use"
                            + " another chat template, or format input-output",
                    index);
        }
        if (prompt != null && shared < prompt.length()) {
            told.add(
                    "the chat template opens answers with \"%s\" when the model is used, which these do not begin with; what follows it is"
                                    .formatted(opening(prompt, shared))
                            + " learnt from answers that have a thought alone");
        }
        return from;
    }

    /**
     * Length of what closes a thought before the answer's first word where the prompt opened it.
     */
    private int emptyThought(Row row, Chat chat, int index, String text, int from) {
        if (!EMPTY_THOUGHT.matcher(text).region(from, text.length()).lookingAt()) {
            return 0;
        }
        int words = contentIn(row, chat, index, text);
        boolean closes =
                words > from && EMPTY_THOUGHT.matcher(text.substring(from, words)).matches();
        return closes ? words - from : 0;
    }

    /** The words that the prompt opens an answer with: all of it behind the answer's header. */
    private String opening(String prompt, int shared) {
        int header = prompt.lastIndexOf('\n', shared - 1) + 1;
        for (int at = header; at < shared; at++) {
            String token = writer.control().atStartOf(prompt.substring(at, shared));
            header = token == null ? header : at + token.length();
        }
        return prompt.substring(header).replace("\n", "\\n");
    }

    private static int commonLength(String a, String b) {
        int at = 0;
        int most = Math.min(a.length(), b.length());
        while (at < most && a.charAt(at) == b.charAt(at)) {
            at++;
        }
        return at;
    }

    /**
     * Where the words of a message begin, its thought's if it has one: where the text begins to
     * differ if it says something else. Its header, which nobody generates, is not learnt.
     */
    private int contentIn(Row row, Chat chat, int index, String text) {
        Map<String, Object> message = chat.messages().get(index);
        Map<String, Object> other = new LinkedHashMap<>(message);
        other.put("content", otherThan(message.get("content")));
        for (String name : TemplateProbe.THOUGHTS) {
            other.computeIfPresent(name, (n, thought) -> otherThan(thought));
        }
        List<Map<String, Object>> messages = new ArrayList<>(chat.messages().subList(0, index));
        messages.add(other);
        Chat differs = chat.with(messages);
        String otherText =
                chat.role(index).equals("assistant")
                        ? writer.attempt(row, differs, index + 1, false)
                        : writer.render(row, differs, index + 1, false).text();
        return otherText == null ? text.length() : commonLength(text, otherText);
    }

    private static String otherThan(@Nullable Object words) {
        return words instanceof String s && s.strip().startsWith("x") ? "y" : "x";
    }
}

package org.qlora4j.export;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.qlora4j.error.UserException;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.tokenize.Tokenizer;

/** The tokens at which a model has answered, all of them: what a program must stop at. */
public final class StopTokens {
    /** Letters alone, so that no template trims or escapes them. */
    private static final String WORD = "qloraprobe";

    private StopTokens() {}

    /**
     * The ids at which a model ends. They are what its files name, the tokenizer's end of text, and
     * the special token that the chat template puts behind an answer.
     *
     * @param named ids in {@code config.json} and {@code generation_config.json}
     */
    public static Set<Integer> of(Set<Integer> named, Tokenizer tokenizer) {
        Set<Integer> stops = new TreeSet<>(named);
        tokenizer.eosId().ifPresent(stops::add);
        tokenizer.chatTemplate().ifPresent(template -> addEndOfTurn(template, tokenizer, stops));
        return stops;
    }

    private static void addEndOfTurn(
            ChatTemplate template, Tokenizer tokenizer, Set<Integer> stops) {
        String text;
        try {
            text =
                    template.render(
                            List.of(
                                    Map.of("role", "user", "content", "a"),
                                    Map.of("role", "assistant", "content", WORD)),
                            null,
                            false,
                            Map.of());
        } catch (UserException e) { // a template that refuses so plain a chat ends none
            return;
        }
        int at = text.lastIndexOf(WORD);
        if (at < 0) {
            return;
        }
        int[] behind = tokenizer.encode(text.substring(at + WORD.length()).stripLeading());
        if (behind.length > 0) {
            String first = tokenizer.token(behind[0]).orElse("");
            if (tokenizer.controlTokens().contains(first)) {
                stops.add(behind[0]);
            }
        }
    }
}

package org.qlora4j.grammar;

import java.util.Set;

/** Which tokens a text may take next so that it keeps its form; of one text and one thread. */
public final class TokenMask {
    private final TokenVocabulary vocabulary;
    private GrammarState state;

    TokenMask(TokenVocabulary vocabulary, GrammarState state) {
        this.vocabulary = vocabulary;
        this.state = state;
    }

    /**
     * Rules out what may not come.
     *
     * @param logits by token; changed
     * @param ends ids that end the text
     */
    public void apply(float[] logits, Set<Integer> ends) {
        var allowed = vocabulary.allowed(state);
        boolean mayEnd = state.mayEnd();
        for (int id = 0; id < logits.length; id++) {
            if (!allowed.get(id) && !(mayEnd && ends.contains(id))) {
                logits[id] = Float.NEGATIVE_INFINITY;
            }
        }
    }

    /** Takes the token that was chosen, unless it ends the text. */
    public void take(int id) {
        state = vocabulary.after(state, id);
    }
}

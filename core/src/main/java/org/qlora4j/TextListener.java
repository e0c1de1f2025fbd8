package org.qlora4j;

import java.util.List;
import org.qlora4j.generate.Token;

/**
 * What is told of an answer, on a thread of the library that all answers share: calls must be short
 * and must not wait.
 */
public interface TextListener {
    /**
     * Takes the prompt's own tokens, if their log-probabilities were asked for, before anything
     * else.
     */
    default void prompt(List<Token> tokens) {}

    /**
     * Takes a token, but for one that ends the text.
     *
     * @param text that is sure with it; often empty
     */
    void token(Token token, String text);

    /** Takes the token that ends the text, which has no text of its own. */
    default void endToken(Token token) {}

    /**
     * Takes the end.
     *
     * @param rest text that was held back until now
     */
    void ended(String rest, Answer answer);

    /** Takes what went wrong with this answer, which has no other end. */
    void failed(RuntimeException failure);
}

package org.qlora4j.generate;

import java.util.function.IntPredicate;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.model.CausalModel;

/**
 * Continues one text, as a {@link Decoding} of one row. The model stays its owner's. Runs on the
 * engine thread; between two generations it holds no native memory.
 *
 * @see BatchGenerator for many texts
 */
public final class Generator {
    private final CausalModel model;
    private final InferenceHead head;

    /** With the head as the model has it. */
    public Generator(CausalModel model) {
        this(model, InferenceHead.exact(model));
    }

    /**
     * @param head stays its owner's
     */
    public Generator(CausalModel model, InferenceHead head) {
        this.model = model;
        this.head = head;
    }

    /**
     * Generates until one of the {@link StopReason}s.
     *
     * @param prompt ids, at least one, and fewer than the model's context holds
     * @param onToken takes each id at once, an end-of-text id too; false ends the text
     * @throws ConfigException if the prompt is empty or too long
     * @throws FormatException if an id is none of the model's, or the model gives logits that are
     *     not finite
     */
    public Generation generate(int[] prompt, GenerationConfig config, IntPredicate onToken) {
        try (Decoding decoding = new Decoding(model, head, Decoding.Manner.ALONE)) {
            Receiver receiver = token -> onToken.test(token.id()) ? null : StopReason.CANCELLED;
            Text text = decoding.begin(new Decoding.Request(prompt, config, null, receiver));
            while (!text.isDone()) {
                decoding.step();
            }
            return text.generation();
        }
    }
}

package org.qlora4j.generate;

import java.util.function.BiConsumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.qlora4j.model.CausalModel;

/**
 * Continues many texts together, as a {@link Decoding} of many rows: a text that ends makes room
 * for the next. The model stays its owner's. Runs on the engine thread; between two generations it
 * holds no native memory.
 *
 * <p>A text is a function of its prompt, its {@link GenerationConfig} and the number of rows, not
 * of the texts beside it: every step has the same shape, prompts are read one at a time, and each
 * text has a sampler of its own. The number of rows does matter to the last bits of the logits,
 * because libtorch sums products of another shape in another order.
 *
 * @see Generator for one text, as it comes
 */
public final class BatchGenerator {
    private final CausalModel model;
    private final InferenceHead head;
    private final Decoding.Manner manner;

    /**
     * With the head as the model has it.
     *
     * @param rows texts at once, at least 1
     */
    public BatchGenerator(CausalModel model, int rows) {
        this(model, InferenceHead.exact(model), rows);
    }

    /**
     * @param head stays its owner's
     * @param rows texts at once, at least 1
     */
    public BatchGenerator(CausalModel model, InferenceHead head, int rows) {
        this.model = model;
        this.head = head;
        this.manner = Decoding.Manner.together(rows);
    }

    /**
     * A text to continue.
     *
     * @param index what the caller knows it by
     * @param prompt ids, at least one, and fewer than the model's context holds
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    public record Request(int index, int[] prompt, GenerationConfig config) {}

    /**
     * Continues texts until there are none left.
     *
     * @param next gives the next text whenever a row is free; null if there is none, for now or for
     *     good: it is asked again as long as another text is under way
     * @param done takes each text at its end, in the order of their ends
     * @throws org.qlora4j.error.ConfigException if a prompt is empty or too long
     * @throws org.qlora4j.error.FormatException if an id is none of the model's, or the model gives
     *     logits that are not finite
     */
    public void generate(Supplier<@Nullable Request> next, BiConsumer<Request, Generation> done) {
        generate(next, (request, token) -> null, done);
    }

    /** Tells the tokens of a text as they come. */
    public interface OnToken {
        /**
         * Takes a token.
         *
         * @return why no more are wanted, which ends the text; null to go on
         */
        @Nullable StopReason token(Request request, Token token);
    }

    /**
     * As {@link #generate(Supplier, BiConsumer)}.
     *
     * @param onToken takes each token at once
     */
    public void generate(
            Supplier<@Nullable Request> next,
            OnToken onToken,
            BiConsumer<Request, Generation> done) {
        try (Decoding decoding = new Decoding(model, head, manner)) {
            while (true) {
                while (decoding.hasRoom()) {
                    Request request = next.get();
                    if (request == null) {
                        break;
                    }
                    decoding.begin(
                            new Decoding.Request(
                                    request.prompt(),
                                    request.config(),
                                    null,
                                    receiver(request, onToken, done)));
                }
                if (decoding.isIdle()) {
                    return;
                }
                decoding.step();
            }
        }
    }

    private static Receiver receiver(
            Request request, OnToken onToken, BiConsumer<Request, Generation> done) {
        return new Receiver() {
            @Override
            public @Nullable StopReason token(Token token) {
                return onToken.token(request, token);
            }

            @Override
            public void ended(Generation generation) {
                done.accept(request, generation);
            }
        };
    }
}

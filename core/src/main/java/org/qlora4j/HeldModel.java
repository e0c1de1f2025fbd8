package org.qlora4j;

import java.lang.ref.Cleaner;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.Notice;
import org.qlora4j.generate.InferenceHead;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tokenize.Tokenizer;

/**
 * What a {@link LanguageModel} holds outside the Java heap. Its owner closes it; where the owner
 * was lost without that, the memory is freed and the model is named in a warning. All of it is
 * changed and read on the engine thread alone.
 */
final class HeldModel {
    private static final Cleaner CLEANER = Cleaner.create();

    final CausalModel model;
    final Tokenizer baseTokenizer;
    InferenceHead head;
    Tokenizer tokenizer; // the base model's, or the adapter's
    @Nullable LoraAdapter adapter;
    private boolean closed;

    HeldModel(CausalModel model, Tokenizer tokenizer) {
        this.model = model;
        this.baseTokenizer = tokenizer;
        this.tokenizer = tokenizer;
        this.head = new InferenceHead(model);
    }

    /**
     * Closes this once nobody can reach its owner any more.
     *
     * @param name of the model, for the warning
     */
    void watch(LanguageModel owner, String name) {
        CLEANER.register(
                owner,
                () ->
                        Engine.submit(() -> {
                            if (!closed) {
                                Notice.say(
                                        "the model %s was lost without being closed; its memory is freed only now: use try (LanguageModel model = ...)"
                                                .formatted(name));
                                close();
                            }
                            return "";
                        }));
    }

    boolean isClosed() {
        return closed;
    }

    /** Closes a tokenizer that an adapter brought. */
    void closeUnlessBase(Tokenizer other) {
        if (other != baseTokenizer) {
            other.close();
        }
    }

    /** Frees everything; a second call does nothing. */
    void close() {
        if (closed) {
            return;
        }
        closed = true;
        if (adapter != null) {
            adapter.close();
        }
        head.close();
        model.close();
        closeUnlessBase(tokenizer);
        baseTokenizer.close();
    }
}

package org.qlora4j.tokenize;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.qlora4j.error.FormatException;

/**
 * Text to token ids and back, exactly as {@code tokenizer.json} says. Safe for use by several
 * threads.
 */
public final class Tokenizer implements AutoCloseable {
    private final HuggingFaceTokenizer tokenizer;

    private Tokenizer(HuggingFaceTokenizer tokenizer) {
        this.tokenizer = tokenizer;
    }

    /** Reads {@code tokenizer.json} of a checkpoint folder. */
    public static Tokenizer load(Path folder) {
        Path file = folder.resolve("tokenizer.json");
        if (!Files.isRegularFile(file)) {
            throw new FormatException(file + " is missing; it comes with the model's checkpoint");
        }
        try {
            return new Tokenizer(
                    HuggingFaceTokenizer.builder()
                            .optTokenizerPath(file)
                            .optAddSpecialTokens(false)
                            .optTruncation(false)
                            .optPadding(false)
                            .build());
        } catch (IOException | RuntimeException e) {
            throw new FormatException(file + " cannot be read: " + e.getMessage(), e);
        }
    }

    /** Ids of a text; special tokens written in the text are found, none is added. */
    public int[] encode(String text) {
        return encode(text, false);
    }

    /** Ids of a text, with the tokenizer's own special tokens (such as BOS) around it if asked. */
    public int[] encode(String text, boolean addSpecialTokens) {
        long[] ids = tokenizer.encode(text, addSpecialTokens, false).getIds();
        int[] out = new int[ids.length];
        for (int i = 0; i < ids.length; i++) {
            out[i] = Math.toIntExact(ids[i]);
        }
        return out;
    }

    /** Text of ids; special tokens are printed unless skipped. */
    public String decode(int[] ids, boolean skipSpecialTokens) {
        long[] wide = new long[ids.length];
        for (int i = 0; i < ids.length; i++) {
            wide[i] = ids[i];
        }
        return tokenizer.decode(wide, skipSpecialTokens);
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}

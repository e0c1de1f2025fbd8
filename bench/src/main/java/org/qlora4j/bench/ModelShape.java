package org.qlora4j.bench;

/**
 * The numbers of a model's {@code config.json} that kernels depend on.
 *
 * @param vocabulary tokens
 * @param hidden width of the residual stream
 * @param intermediate inner width of the MLP
 * @param heads query heads
 * @param kvHeads key heads
 */
record ModelShape(int vocabulary, int hidden, int intermediate, int heads, int kvHeads) {
    private static final ModelShape SMOLLM2 = new ModelShape(49152, 576, 1536, 9, 3);
    private static final ModelShape LLAMA = new ModelShape(32000, 2048, 5632, 32, 4);

    /** Width of a head, in both models. */
    static final int HEAD_DIM = 64;

    /** Query heads that share a key head. */
    int group() {
        return heads / kvHeads;
    }

    /** The shape of that model: {@code smollm2} or {@code llama-1.1b}. */
    static ModelShape of(String model) {
        return switch (model) {
            case "smollm2" -> SMOLLM2;
            case "llama-1.1b" -> LLAMA;
            default ->
                    throw new IllegalArgumentException(
                            "model must be smollm2 or llama-1.1b, got " + model);
        };
    }

    /** Features [out, in] of a linear layer, named as in the checkpoint. */
    int[] linear(String name) {
        return switch (name) {
            case "q_proj" -> new int[] {hidden, hidden};
            case "gate_proj" -> new int[] {intermediate, hidden};
            case "down_proj" -> new int[] {hidden, intermediate};
            case "lm_head" -> new int[] {vocabulary, hidden};
            default ->
                    throw new IllegalArgumentException(
                            "linear must be q_proj, gate_proj, down_proj or lm_head, got " + name);
        };
    }
}

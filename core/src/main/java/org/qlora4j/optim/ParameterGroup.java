package org.qlora4j.optim;

import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Parameter;

/**
 * What sets some weights apart for the optimizer.
 *
 * @param decays whether weight decay applies
 * @param rateFactor their learning rate, as a multiple of the run's
 * @param fullState whether their moments are kept in 32 bits whatever the optimizer
 */
public record ParameterGroup(boolean decays, double rateFactor, boolean fullState) {
    /**
     * Names of norms and biases (transformers 5.23 {@code get_decay_parameter_names}), GPT-2's too.
     */
    private static final Pattern NOT_DECAYED =
            Pattern.compile(
                    "bias|layernorm|rmsnorm|(^|\\.)norm($|\\.)|_norm($|\\.)|(^|\\.)ln_",
                    Pattern.CASE_INSENSITIVE);

    /** Names of embedding tables, whose moments bitsandbytes keeps in 32 bits. */
    private static final Pattern EMBEDDING =
            Pattern.compile("(^|\\.)(embed_tokens|embed_in|embed_positions|wte|wpe|shared)\\.");

    /**
     * The group of a weight by its name.
     *
     * @param loraPlusRatio how much faster B learns than A (LoRA+, arXiv 2402.12354), vectors too
     *     as in PEFT's {@code create_loraplus_optimizer}; null where all learn alike
     */
    public static ParameterGroup of(Parameter parameter, @Nullable Double loraPlusRatio) {
        String name = parameter.name();
        boolean fast = name.contains("lora_B") || parameter.value().rank() == 1;
        return new ParameterGroup(
                !NOT_DECAYED.matcher(name).find(),
                fast && loraPlusRatio != null ? loraPlusRatio : 1,
                keepsFullState(name));
    }

    /** Whether a weight of this name keeps its moments in 32 bits whatever the optimizer. */
    static boolean keepsFullState(String name) {
        return EMBEDDING.matcher(name).find();
    }
}

package org.qlora4j.lora;

import com.fasterxml.jackson.annotation.JsonClassDescription;
import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;

/** Start values of A and B, with PEFT's names (its key {@code init_lora_weights}). */
@JsonClassDescription("true, gaussian, pissa or pissa_niter_N")
public sealed interface LoraInit {
    /** A uniform in ±1/√in, B 0; written {@code true}. */
    LoraInit KAIMING_UNIFORM = new KaimingUniform();

    /** A normal with deviation 1/r, B 0. */
    LoraInit GAUSSIAN = new Gaussian();

    /** As PEFT writes it: {@code true} or a text. */
    @JsonValue
    Object json();

    /** See {@link LoraInit#KAIMING_UNIFORM}. */
    record KaimingUniform() implements LoraInit {
        @Override
        public Object json() {
            return true;
        }
    }

    /** See {@link LoraInit#GAUSSIAN}. */
    record Gaussian() implements LoraInit {
        @Override
        public Object json() {
            return "gaussian";
        }
    }

    /**
     * A and B hold the part of the weight that its r largest singular values span. The base keeps
     * the rest (PiSSA, arXiv 2404.02948, section 3).
     *
     * @param iterations of the randomized decomposition, which needs far less time (its table 8);
     *     null for the exact one
     */
    record Pissa(@Nullable Integer iterations) implements LoraInit {
        private static final String NAME = "pissa";
        private static final Pattern FAST = Pattern.compile("pissa_niter_(\\d{1,4})");

        @Override
        public Object json() {
            return iterations == null ? NAME : NAME + "_niter_" + iterations;
        }

        static @Nullable Pissa of(String text) {
            Matcher fast = FAST.matcher(text);
            if (fast.matches()) {
                return new Pissa(Integer.valueOf(fast.group(1)));
            }
            return text.equals(NAME) ? new Pissa(null) : null;
        }
    }

    /** Reads what {@link #json} gives; anything else is a {@link ConfigException}. */
    @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
    static LoraInit of(Object json) {
        if (json.equals(KAIMING_UNIFORM.json())) {
            return KAIMING_UNIFORM;
        }
        if (json.equals(GAUSSIAN.json())) {
            return GAUSSIAN;
        }
        LoraInit pissa = json instanceof String text ? Pissa.of(text) : null;
        if (pissa == null) {
            throw ConfigException.of(
                    "must be true, gaussian, pissa or pissa_niter_N, got %s", json);
        }
        return pissa;
    }
}

package org.qlora4j.lora;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import org.qlora4j.error.ConfigException;

/**
 * Start values of A, with PEFT's names (its key {@code init_lora_weights}); B starts at 0, so that
 * the update does.
 */
public enum LoraInit {
    /** Uniform in ±1/√in, written {@code true}. */
    KAIMING_UNIFORM(true),
    /** Normal with deviation 1/r. */
    GAUSSIAN("gaussian");

    private final Object json;

    LoraInit(Object json) {
        this.json = json;
    }

    /** As PEFT writes it: {@code true} or {@code "gaussian"}. */
    @JsonValue
    public Object json() {
        return json;
    }

    /** Reads what {@link #json} gives; anything else is a {@link ConfigException}. */
    @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
    public static LoraInit of(Object json) {
        for (LoraInit init : values()) {
            if (init.json.equals(json)) {
                return init;
            }
        }
        throw ConfigException.of("must be true or gaussian, got %s", json);
    }
}

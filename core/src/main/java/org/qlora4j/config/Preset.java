package org.qlora4j.config;

import java.util.List;
import java.util.Locale;
import org.qlora4j.error.ConfigException;

/** Settings under one name, beneath all that a file or the command line says. */
public enum Preset {
    /** What qlora.py does where nothing is said. All else of it are the defaults anyway. */
    PAPER(
            new Overrides.Setting(
                    "train.max_steps",
                    String.valueOf(Preset.PAPER_STEPS),
                    false,
                    "--preset paper"));

    /** Default of {@code --max_steps} in qlora.py, and the longest run of the paper (table 9). */
    public static final int PAPER_STEPS = 10_000;

    private final List<Overrides.Setting> settings;

    Preset(Overrides.Setting... settings) {
        this.settings = List.of(settings);
    }

    /** The settings, as if they had been typed. */
    List<Overrides.Setting> settings() {
        return settings;
    }

    /**
     * The preset of a name.
     *
     * @throws ConfigException if there is none
     */
    public static Preset of(String name) {
        for (Preset one : values()) {
            if (one.key().equals(name)) {
                return one;
            }
        }
        throw ConfigException.of("--preset must be %s, got %s", PAPER.key(), name);
    }

    /** Its name on the command line. */
    public String key() {
        return name().toLowerCase(Locale.ROOT);
    }
}

package org.qlora4j.config;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;

/**
 * Settings from the command line, which go before those of the file; of two for one key the later
 * holds.
 *
 * @param settings in the order given
 * @param notices lines to show to the user: what was understood but has no effect
 * @param preset what lies beneath the file; null for the defaults alone
 */
public record Overrides(List<Setting> settings, List<String> notices, @Nullable Preset preset) {
    public static final Overrides NONE = new Overrides(List.of(), List.of());

    /** Without a preset. */
    public Overrides(List<Setting> settings, List<String> notices) {
        this(settings, notices, null);
    }

    /**
     * One setting.
     *
     * @param key with its section, e.g. {@code lora.r}; not yet known to exist
     * @param value its value
     * @param literal whether the value is a text as it stands, not YAML
     * @param said what the user typed, with which messages begin
     */
    public record Setting(String key, String value, boolean literal, String said) {}

    public Overrides {
        settings = List.copyOf(settings);
        notices = List.copyOf(notices);
    }

    /**
     * Reads words such as {@code train.max_steps=20} or {@code
     * lora.target_modules=[q_proj,v_proj]}; the value is YAML.
     *
     * @throws ConfigException for a word without {@code =}
     */
    public static Overrides ofWords(List<String> words) {
        List<Setting> settings = new ArrayList<>();
        for (String word : words) {
            settings.add(word(word));
        }
        return new Overrides(settings, List.of());
    }

    static Setting word(String word) {
        int equals = word.indexOf('=');
        if (equals < 1) {
            throw ConfigException.of("%s: expected key=value, e.g. train.max_steps=20", word);
        }
        return new Setting(
                word.substring(0, equals).strip(), word.substring(equals + 1), false, word);
    }

    /** These settings over those of a preset. */
    public Overrides over(Preset beneath) {
        return new Overrides(settings, notices, beneath);
    }

    /** These, then the others. */
    public Overrides and(Overrides others) {
        List<Setting> allSettings = new ArrayList<>(settings);
        allSettings.addAll(others.settings);
        List<String> allNotices = new ArrayList<>(notices);
        allNotices.addAll(others.notices);
        return new Overrides(
                allSettings, allNotices, others.preset == null ? preset : others.preset);
    }
}

package org.qlora4j.config;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Collects the values that a program gives to keys of one section.
 *
 * @param section its name
 * @param given takes them, in the order of the calls
 */
record SectionValues(String section, List<SettingsLayer.Given> given) {
    /** What a message begins with: a program has no line to point at. */
    static final String WHERE = "RunConfig.builder()";

    /**
     * Gives a key of the section a value, which is checked with all others at the end.
     *
     * @throws NullPointerException for null where the key has to have a value
     */
    void put(String leaf, @Nullable Object value) {
        ConfigKeys.Key key = ConfigKeys.find(section + "." + leaf);
        if (key == null) {
            throw new IllegalArgumentException("no key " + section + "." + leaf);
        }
        if (value == null && !key.nullable()) {
            throw new NullPointerException(key.name() + " must be " + key.rule());
        }
        given.add(new SettingsLayer.Given(key, ConfigMapper.YAML.valueToTree(value), WHERE));
    }
}

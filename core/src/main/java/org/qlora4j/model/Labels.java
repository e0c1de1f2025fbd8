package org.qlora4j.model;

import static org.qlora4j.error.Require.require;

import java.util.HashSet;
import java.util.List;
import org.qlora4j.error.ConfigException;

/**
 * The classes that settings give a model, where its {@code config.json} has others or none.
 *
 * @param count how many, or 1 for a number; 0 to leave it to config.json
 * @param names what they are called, in their order; empty where they have no names
 */
public record Labels(int count, List<String> names) {
    /** The classes that config.json has. */
    public static final Labels OF_CONFIG = new Labels(0, List.of());

    public Labels {
        names = List.copyOf(names);
        require(count >= 0, "model.num_labels must be at least 1, got %d", count);
        require(
                names.isEmpty() || count == names.size(),
                "model.label_names has %d names, but model.num_labels is %d",
                names.size(),
                count);
        require(
                names.size() == new HashSet<>(names).size(),
                "model.label_names has a name twice: %s",
                names);
    }

    /**
     * The shape of a model with these classes.
     *
     * @throws ConfigException if it does not classify
     */
    public ModelShape of(ModelShape shape) {
        return count == 0 ? shape : ModelShape.of(shape.architecture().withLabels(this));
    }
}

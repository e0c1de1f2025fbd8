package org.qlora4j.data;

import java.util.List;

/** How a model takes an example: what it reads, and what it is to say. */
public sealed interface Layout {
    /** One text; a decoder says each token behind those before it. */
    record OneText() implements Layout {}

    /**
     * A source that ends with an end-of-text token, read whole, and behind it a target that is
     * said.
     */
    record SourceAndTarget() implements Layout {}

    /**
     * A text that is read whole, and behind it one label: the number of a class, or where there is
     * but one output any number, as the {@linkplain Float#floatToIntBits bits of a float}.
     *
     * @param count outputs of the model
     * @param names of the classes, by which data may call them; empty if they have none
     * @param longest tokens that the model reads at most
     */
    record Classes(int count, List<String> names, int longest) implements Layout {}
}

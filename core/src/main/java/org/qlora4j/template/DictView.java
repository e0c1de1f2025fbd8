package org.qlora4j.template;

import java.util.List;

/**
 * What {@code keys()}, {@code values()} and {@code items()} of a dictionary give: has a length, but
 * no index.
 *
 * @param type such as {@code dict_keys}
 * @param items in the dictionary's order
 */
record DictView(String type, List<Object> items) {}

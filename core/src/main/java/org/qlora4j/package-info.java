/**
 * The public API of qlora4j, under semantic versioning together with the config records and
 * enumerations that its signatures name; every other public type is internal. In: a model's folder
 * or {@code .gguf} file, adapters, prompts. Out: text. Open {@link org.qlora4j.LanguageModel}
 * first.
 */
@NullMarked
package org.qlora4j;

import org.jspecify.annotations.NullMarked;

/**
 * Models in files: merged with an adapter, for llama.cpp and Ollama, or made smaller. In: a
 * checkpoint and perhaps an adapter. Out: a folder of Hugging Face's files ({@link
 * org.qlora4j.export.AdapterMerge}) or a GGUF file ({@link org.qlora4j.export.ModelExport}), whole
 * or not at all. Open {@link org.qlora4j.export.AdapterMerge}; {@code docs/export.md} tells what is
 * written and compared.
 */
@NullMarked
package org.qlora4j.export;

import org.jspecify.annotations.NullMarked;

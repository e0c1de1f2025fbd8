/**
 * Models of this library as Spring AI's. In: a {@link org.qlora4j.TextService} over a loaded model,
 * which answers requests of many threads in one running batch. Out: {@code ChatModel}, streaming
 * too, and {@code EmbeddingModel}. Open {@link org.qlora4j.springai.QloraChatModel} first.
 */
@NullMarked
package org.qlora4j.springai;

import org.jspecify.annotations.NullMarked;

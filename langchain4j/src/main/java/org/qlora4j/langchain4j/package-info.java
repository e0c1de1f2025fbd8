/**
 * Models of this library as LangChain4j's. In: a {@link org.qlora4j.TextService} over a loaded
 * model, which answers requests of many threads in one running batch. Out: {@code ChatModel},
 * {@code StreamingChatModel} and {@code EmbeddingModel}. Open {@link
 * org.qlora4j.langchain4j.QloraChatModel} first.
 */
@NullMarked
package org.qlora4j.langchain4j;

import org.jspecify.annotations.NullMarked;

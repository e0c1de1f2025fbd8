/**
 * A model over HTTP, in the form of OpenAI's API. In: a {@link org.qlora4j.TextService}, requests.
 * Out: answers as JSON or as server-sent events. Open {@link org.qlora4j.app.serve.ApiServer}
 * first; {@link org.qlora4j.app.serve.ChatCompletions} and {@link
 * org.qlora4j.app.serve.Completions} are the two ways to ask.
 */
@NullMarked
package org.qlora4j.app.serve;

import org.jspecify.annotations.NullMarked;

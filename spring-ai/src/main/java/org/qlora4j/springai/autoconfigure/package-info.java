/**
 * The starter for Spring Boot. In: properties {@code spring.ai.qlora4j.*}. Out: beans of the model,
 * its service, and Spring AI's chat and embedding models over it. Open {@link
 * org.qlora4j.springai.autoconfigure.QloraProperties} first.
 */
@NullMarked
package org.qlora4j.springai.autoconfigure;

import org.jspecify.annotations.NullMarked;

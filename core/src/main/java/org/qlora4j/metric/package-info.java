/**
 * Figures of answers beside what they should be: answers go in, numbers come out that other
 * programs give too. Open {@link org.qlora4j.metric.RougeL} first for texts, {@link
 * org.qlora4j.metric.ClassScores} for classes.
 */
@NullMarked
package org.qlora4j.metric;

import org.jspecify.annotations.NullMarked;

/**
 * A page on which people compare answers without knowing whose they are. In: {@link
 * org.qlora4j.judge.HumanRatings}. Out: ratings in the paper's layout. Open {@link
 * org.qlora4j.app.rate.RateServer} first; the page itself is {@code rate.html} with its script.
 */
@NullMarked
package org.qlora4j.app.rate;

import org.jspecify.annotations.NullMarked;

/**
 * How good a model is: its {@link org.qlora4j.eval.Perplexity} on held-out data, and chatbots by
 * comparison, as in section 5 of the paper. In: ratings of judges, files of JSON lines in the
 * layout the paper released. Out: scores relative to a reference system, Elo and Bradley-Terry
 * ratings with intervals, agreement between judges. Open {@link org.qlora4j.eval.Ratings} first.
 * Sources: arXiv 2305.14314, sections 5 and 6, and the ratings of its repository; Elo, The Rating
 * of Chessplayers (1978); Davidson (1970) for ties.
 */
@NullMarked
package org.qlora4j.eval;

import org.jspecify.annotations.NullMarked;

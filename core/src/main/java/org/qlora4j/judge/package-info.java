/**
 * Chatbots answer questions and a model judges their answers, as in section 5 of the paper. In:
 * questions, files of answers, prompts for the judge. Out: files of answers and of ratings in the
 * layout that the paper released, which {@link org.qlora4j.eval.Ratings} reads. Open {@link
 * org.qlora4j.judge.AnswerRun} and {@link org.qlora4j.judge.JudgeRun} first. Sources: arXiv
 * 2305.14314, sections 5 and 6; arXiv 2306.05685 for questions of two turns.
 */
@NullMarked
package org.qlora4j.judge;

import org.jspecify.annotations.NullMarked;

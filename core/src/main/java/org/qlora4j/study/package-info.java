/**
 * The paper's studies (arXiv 2305.14314, Tables 2 to 4 and Figures 2 and 3) on any model. In: a
 * file that says what is compared. Out: a folder with a file for each cell, a table and a plot.
 * Open {@link org.qlora4j.study.StudyFolder} first.
 */
@NullMarked
package org.qlora4j.study;

import org.jspecify.annotations.NullMarked;

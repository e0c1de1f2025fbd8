/**
 * What a run leaves behind for people. In: a run folder, or a run as it goes on. Out: {@code
 * report.html}, curves as PNG, TensorBoard's event files. Open {@link
 * org.qlora4j.report.RunReports} first. TensorBoard's format: {@code event.proto}, {@code
 * summary.proto} and the TFRecord framing of TensorFlow.
 */
@NullMarked
package org.qlora4j.report;

import org.jspecify.annotations.NullMarked;

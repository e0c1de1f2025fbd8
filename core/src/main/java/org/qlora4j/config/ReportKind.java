package org.qlora4j.config;

import com.fasterxml.jackson.annotation.JsonProperty;

/** What a run can be shown with, besides its {@code metrics.jsonl}. */
public enum ReportKind {
    /** {@code report.html}: one page with figures, curves, samples and settings. */
    @JsonProperty("html")
    HTML,
    /** {@code loss.png} and {@code learning_rate.png}. */
    @JsonProperty("png")
    PNG,
    /** TensorBoard's event files, in folder {@code tensorboard}. */
    @JsonProperty("tensorboard")
    TENSORBOARD
}

package org.qlora4j.task;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A task as its file defines it; names and meaning are those of lm-evaluation-harness.
 *
 * @param name {@code task}
 * @param alias {@code task_alias}, else the name
 * @param output what is asked
 * @param data where documents come from
 * @param prompt how a document becomes text
 * @param fewshot how the examples before it are chosen and written
 * @param numFewshot examples before each document; null if the file does not say
 * @param generation {@code generation_kwargs}
 * @param repeats answers to each generation
 * @param filters what is made of answers before they are counted; at least one
 * @param metrics what is counted; at least one
 * @param processResults a way of counting that comes with the library; null for the ordinary one
 * @param tokensApart whether question and answer become tokens apart from each other, behind BOS,
 *     and only the answer's first counts; the harness has no such thing
 * @param version {@code metadata.version}, or {@code Yaml}
 * @param file it stands in
 */
record TaskConfig(
        String name,
        String alias,
        OutputType output,
        DataSource data,
        Prompt prompt,
        Fewshot fewshot,
        @Nullable Integer numFewshot,
        GenerationSettings generation,
        int repeats,
        List<FilterChain> filters,
        List<Metric> metrics,
        @Nullable ResultRule processResults,
        boolean tokensApart,
        Object version,
        TaskFile file) {
    /**
     * Where documents come from.
     *
     * @param path {@code dataset_path}: json, csv, parquet, a folder, or a data set of the hub
     * @param name {@code dataset_name}
     * @param files {@code data_files} by split; empty if none are named
     * @param training the split of that use, null for none; the others likewise
     */
    record DataSource(
            String path,
            String name,
            Map<String, List<String>> files,
            @Nullable String training,
            @Nullable String validation,
            @Nullable String test) {
        /** The split whose documents are asked. */
        @Nullable String evaluated() {
            return test != null ? test : validation;
        }
    }

    /**
     * How a document becomes text. A template may be the name of a field.
     *
     * @param text {@code doc_to_text}: template or number
     * @param target {@code doc_to_target}: template, number or list
     * @param choice {@code doc_to_choice}: template, list or mapping; null for none
     * @param description before all examples
     * @param targetDelimiter between text and target
     * @param fewshotDelimiter between examples
     * @param genPrefix what the answer begins with; null for nothing
     */
    record Prompt(
            Object text,
            Object target,
            @Nullable Object choice,
            String description,
            String targetDelimiter,
            String fewshotDelimiter,
            @Nullable String genPrefix) {}

    /**
     * The examples before a document.
     *
     * @param split they come from; null for the harness' rule
     * @param samples given in the file itself; null if they come from a split
     * @param firstN whether the first of the split are taken; else they are drawn
     * @param prompt how they are written
     */
    record Fewshot(
            @Nullable String split,
            @Nullable List<Map<String, Object>> samples,
            boolean firstN,
            Prompt prompt) {}

    /**
     * Something that is counted.
     *
     * @param name such as {@code acc}
     * @param aggregation how documents' values become one
     * @param higherIsBetter whether more of it is better
     * @param match how texts are compared by {@code exact_match}
     */
    record Metric(String name, Aggregation aggregation, boolean higherIsBetter, ExactMatch match) {}
}

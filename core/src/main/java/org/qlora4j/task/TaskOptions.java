package org.qlora4j.task;

import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;

/**
 * How tasks are asked, beside what their files say.
 *
 * @param numFewshot examples before each document, over the file's unless that is 0; null to leave
 *     it to the file
 * @param limit documents of each task, from the first; below 1 a share of them, 0 for all
 * @param chatTemplate whether prompts are written as chats
 * @param fewshotAsMultiturn whether examples are turns of the chat; else they are one message
 * @param systemInstruction before the description; null for none
 * @param seed of drawn examples
 * @param bootstrapIterations draws for standard errors without a closed form; 0 for no standard
 *     errors
 */
public record TaskOptions(
        @Nullable Integer numFewshot,
        double limit,
        boolean chatTemplate,
        boolean fewshotAsMultiturn,
        @Nullable String systemInstruction,
        long seed,
        int bootstrapIterations) {
    /** The harness' own. */
    public static final TaskOptions DEFAULT =
            new TaskOptions(null, 0, false, false, null, 1234, 100_000);

    public TaskOptions {
        if (numFewshot != null && numFewshot < 0) {
            throw ConfigException.of("num_fewshot must be at least 0, got %d", numFewshot);
        }
        if (!(limit >= 0)) {
            throw ConfigException.of(
                    "limit must be 0 (all), a share below 1, or a number of documents, got %s",
                    limit);
        }
        if (fewshotAsMultiturn && !chatTemplate) {
            throw new ConfigException(
                    "fewshot_as_multiturn needs the chat template; turn that on too");
        }
        if (bootstrapIterations < 0) {
            throw ConfigException.of(
                    "bootstrap_iters must be at least 0, got %d", bootstrapIterations);
        }
    }

    /** How many of a task's documents are asked. */
    int documents(int all) {
        if (limit == 0) {
            return all;
        }
        double wanted = limit < 1 ? Math.ceil(all * limit) : Math.floor(limit);
        return (int) Math.min(all, wanted);
    }
}

/**
 * Evaluation tasks such as MMLU, as lm-evaluation-harness 0.4.13 defines, asks and counts them. In:
 * its task files in YAML, records of data sets, a model. Out: metrics with standard errors, and
 * what was asked and answered. Open {@link org.qlora4j.task.TaskSuite} first, then {@link
 * org.qlora4j.task.TaskRun}.
 *
 * <p>{@link org.qlora4j.task.TaskConfig} is a task's file; {@link org.qlora4j.task.Task} makes
 * {@link org.qlora4j.task.TaskRequest}s of its documents, which a {@link
 * org.qlora4j.task.TaskModel} answers, and counts the answers. Python code in a task file is never
 * run.
 */
@NullMarked
package org.qlora4j.task;

import org.jspecify.annotations.NullMarked;

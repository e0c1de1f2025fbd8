/**
 * Work that falls into parts on Apache Spark: answers, judgments, evaluation tasks, perplexity,
 * runs of a sweep. In: what the library takes on one machine. Out: the same files and numbers.
 * {@link org.qlora4j.spark.SparkChatModel} stands where a model of this process would; look there
 * first.
 */
@NullMarked
package org.qlora4j.spark;

import org.jspecify.annotations.NullMarked;

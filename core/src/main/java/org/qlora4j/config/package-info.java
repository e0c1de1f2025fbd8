/**
 * The settings of a run. In: a YAML file, {@code key=value} words, the flags of qlora.py. Out: one
 * checked {@link org.qlora4j.config.RunConfig}, with every default filled in from the records. Open
 * {@code RunConfig} first, then {@link org.qlora4j.config.RunConfigReader}.
 */
@NullMarked
package org.qlora4j.config;

import org.jspecify.annotations.NullMarked;

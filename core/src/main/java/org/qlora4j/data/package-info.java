/**
 * Files to examples to masked batches, on plain Java arrays. In: files of records ({@link
 * org.qlora4j.data.Source}: JSON, CSV, spreadsheets, Parquet, raw text), a tokenizer, a chat
 * template. Out: {@link org.qlora4j.data.Batch}: token ids, labels (-100 where nothing is trained)
 * and padding mask, in an order that is a pure function of seed, data and step. Formats, prompts
 * and masking follow qlora.py (arXiv 2305.14314), sampling follows the Hugging Face Trainer on
 * torch's generator. Open {@link org.qlora4j.data.TrainingSet} first, then {@link
 * org.qlora4j.data.BatchSampler}.
 */
@NullMarked
package org.qlora4j.data;

import org.jspecify.annotations.NullMarked;

package org.qlora4j.quant;

/** The two 4-bit data types of QLoRA (arXiv 2305.14314, section 3; levels in bitsandbytes functional.py). */
public enum QuantType {
    NF4,
    FP4
}

package org.qlora4j.checkpoint;

import tools.jackson.databind.JsonNode;

/** Numbers of JSON files, which may have hundreds of digits. */
public final class JsonNumber {
    private JsonNumber() {}

    /**
     * Whether a number is one that tensors compute with, which is one of 32 bits.
     *
     * @param number a JSON number
     */
    public static boolean isFloat(JsonNode number) {
        return Math.abs(of(number)) <= Float.MAX_VALUE;
    }

    /**
     * The nearest double; infinite where none is near.
     *
     * @param number a JSON number
     */
    public static double of(JsonNode number) {
        return number.isBigInteger()
                ? number.bigIntegerValue().doubleValue()
                : number.isBigDecimal()
                        ? number.decimalValue().doubleValue()
                        : number.doubleValue();
    }
}

package org.qlora4j.kernel;

import com.fasterxml.jackson.annotation.JsonProperty;

/** Where the user wants tensors and kernels to be. */
public enum DeviceChoice {
    /** The first CUDA device if it can be used, else the CPU. */
    @JsonProperty("auto")
    AUTO("auto"),
    @JsonProperty("cpu")
    CPU("cpu"),
    /** The first of the devices that {@code CUDA_VISIBLE_DEVICES} leaves. */
    @JsonProperty("cuda:0")
    CUDA_0("cuda:0");

    private final String key;

    DeviceChoice(String key) {
        this.key = key;
    }

    /** As in settings: {@code auto}, {@code cpu} or {@code cuda:0}. */
    public String key() {
        return key;
    }
}

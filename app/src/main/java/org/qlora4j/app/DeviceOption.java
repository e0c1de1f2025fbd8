package org.qlora4j.app;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.kernel.DeviceChoice;
import picocli.CommandLine.Option;

/** {@code --device}, the same in every command that loads a model. */
final class DeviceOption {
    @Option(
            names = "--device",
            paramLabel = "auto|cpu|cuda:0",
            description = "Where the model runs; auto takes a GPU that can be used, else the CPU.")
    @Nullable String device;

    /** What was asked for; auto where nothing was. */
    DeviceChoice choice() {
        String key = device == null ? DeviceChoice.AUTO.key() : device;
        return Arrays.stream(DeviceChoice.values())
                .filter(choice -> choice.key().equals(key))
                .findFirst()
                .orElseThrow(() ->
                        ConfigException.of("--device must be auto, cpu or cuda:0, got %s", key));
    }
}

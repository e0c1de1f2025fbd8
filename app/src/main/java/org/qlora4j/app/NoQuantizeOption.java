package org.qlora4j.app;

import picocli.CommandLine.Option;

/** {@code --no-quantize}, the same in every command that holds weights in 4 bits by default. */
final class NoQuantizeOption {
    @Option(
            names = "--no-quantize",
            description = "Keep the weights as in the checkpoint instead of 4 bits.")
    boolean given;
}

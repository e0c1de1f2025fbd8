package org.qlora4j.tensor;

import java.util.Locale;
import java.util.function.Supplier;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.DeviceException;

/**
 * Loads libtorch once, with JavaCPP's freeing by garbage collector and its memory limits switched
 * off: scopes free, and the limits would make it call {@code System.gc()} in the middle of a step.
 */
final class Libtorch {
    static {
        System.setProperty("org.bytedeco.javacpp.nopointergc", "true");
        System.setProperty("org.bytedeco.javacpp.maxBytes", "0");
        System.setProperty("org.bytedeco.javacpp.maxPhysicalBytes", "0");
        try {
            Loader.load(torch.class);
        } catch (UnsatisfiedLinkError e) {
            throw new DeviceException(
                    "libtorch cannot be loaded on this platform ("
                            + Loader.getPlatform()
                            + "): "
                            + firstLine(e.getMessage())
                            + "; run 'qlora doctor'",
                    e);
        }
    }

    private Libtorch() {}

    /** Makes sure that libtorch is loaded, with the settings above. */
    static void load() {
        // the static block above does it
    }

    /** Runs one call whose result is a new handle; every other pointer made on the way is freed. */
    static org.bytedeco.pytorch.Tensor call(Supplier<org.bytedeco.pytorch.Tensor> call) {
        try (PointerScope temporaries = new PointerScope()) {
            org.bytedeco.pytorch.Tensor handle = call.get();
            handle.retainReference(); // survives the scope; freed by Tensor.close
            return handle;
        } catch (RuntimeException e) {
            throw translate(e);
        }
    }

    /** Runs calls that return nothing of their own. */
    static void run(Runnable call) {
        try (PointerScope temporaries = new PointerScope()) {
            call.run();
        } catch (RuntimeException e) {
            throw translate(e);
        }
    }

    private static RuntimeException translate(RuntimeException e) {
        String message = String.valueOf(e.getMessage());
        if (message.toLowerCase(Locale.ROOT).contains("not enough memory")
                || message.contains("can't allocate")) {
            return new DeviceException(
                    "out of memory: "
                            + firstLine(message)
                            + "; lower per_device_train_batch_size or the length limits, or turn on"
                            + " gradient_checkpointing",
                    e);
        }
        return e;
    }

    private static String firstLine(@Nullable String message) {
        return message == null ? "" : message.lines().findFirst().orElse("");
    }
}

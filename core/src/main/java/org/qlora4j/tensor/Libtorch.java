package org.qlora4j.tensor;

import java.util.Locale;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.UserException;

/**
 * Loads libtorch once, with JavaCPP's freeing by garbage collector and its memory limits switched
 * off: scopes free, and the limits would make it call {@code System.gc()} in the middle of a step.
 */
final class Libtorch {
    /** Shared libraries of CUDA, cuDNN and NCCL, which the CUDA build does not bring along. */
    private static final Pattern OF_CUDA = Pattern.compile("lib(cu|nccl|nv)\\w*\\.so[.\\d]*");

    // kept, not thrown: an exception in a static block shows only as NoClassDefFoundError later on
    private static final @Nullable UserException FAILURE = tryToLoad();

    private Libtorch() {}

    private static @Nullable UserException tryToLoad() {
        System.setProperty("org.bytedeco.javacpp.nopointergc", "true");
        System.setProperty("org.bytedeco.javacpp.maxBytes", "0");
        System.setProperty("org.bytedeco.javacpp.maxPhysicalBytes", "0");
        try {
            LibraryLimits.apply();
            Loader.load(torch.class);
            return null;
        } catch (ConfigException e) {
            return e;
        } catch (LinkageError e) {
            return new DeviceException(explain(e), e);
        }
    }

    /** One line: what could not be loaded, and what to do about it. */
    static String explain(Throwable failure) {
        String reason = firstLine(failure.getMessage());
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            String message = firstLine(cause.getMessage());
            Matcher library = OF_CUDA.matcher(message);
            if (library.find()) {
                return "libtorch's CUDA build cannot be loaded: "
                        + library.group()
                        + " not found; install CUDA 13 (with CUPTI), cuDNN 9 and NCCL 2 and put them on"
                        + " LD_LIBRARY_PATH, or use the CPU build of qlora4j";
            }
            reason = message.isEmpty() ? reason : message; // the innermost names the file
        }
        return "libtorch cannot be loaded on this platform ("
                + Loader.getPlatform()
                + "): "
                + reason
                + "; run 'qlora doctor'";
    }

    /**
     * Makes sure that libtorch is loaded, with the settings above.
     *
     * @throws DeviceException if it cannot be
     * @throws ConfigException if its limit, {@link InstructionSet#VARIABLE}, is no known word
     */
    static void load() {
        if (FAILURE != null) {
            throw FAILURE;
        }
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
                || message.contains("can't allocate")
                || message.contains("CUDA out of memory")) {
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

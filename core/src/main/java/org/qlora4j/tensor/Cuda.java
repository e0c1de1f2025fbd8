package org.qlora4j.tensor;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.pytorch.global.torch;

/** What the loaded libtorch says about CUDA. */
public final class Cuda {
    private static final Pattern VERSION =
            Pattern.compile("CUDA_VERSION=([\\d.]+), CUDNN_VERSION=([\\d.]+)");

    private static final class Usable {
        static final boolean BY_LIBTORCH = deviceCount() > 0;
    }

    private Cuda() {}

    /** Version of libtorch and of its Java binding, e.g. {@code 2.10.0-1.5.13}. */
    public static String libtorchVersion() {
        try {
            return Loader.getVersion("org.bytedeco", "pytorch");
        } catch (java.io.IOException e) {
            return "of unknown version";
        }
    }

    /** Whether libtorch holds code for CUDA devices. */
    public static boolean builtIn() {
        Libtorch.load();
        return torch.getCUDAHooks().hasCUDART();
    }

    /** The versions libtorch was built for, e.g. {@code CUDA 13.1, cuDNN 9.19.0}; else empty. */
    public static Optional<String> buildVersions() {
        Libtorch.load();
        Matcher found = VERSION.matcher(torch.show_config().getString());
        return found.find()
                ? Optional.of("CUDA " + found.group(1) + ", cuDNN " + found.group(2))
                : Optional.empty();
    }

    /** CUDA devices that libtorch can use: 0 without CUDA or a working driver. */
    public static int deviceCount() {
        return builtIn() && torch.cuda_is_available() ? torch.cuda_device_count() : 0;
    }

    /**
     * The handle (CUstream) that kernels of our own are launched on: libtorch's current stream of
     * this thread.
     *
     * @throws IllegalStateException if that is no longer the default one, whose handle is 0: only
     *     code outside this library sets another
     */
    static long currentStream(int device) {
        if (!Usable.BY_LIBTORCH) { // under a stand-in of the driver, in tests
            return 0;
        }
        long[] id = new long[1];
        Libtorch.run(() -> id[0] = torch.getCurrentStream((byte) device).id());
        if (id[0] != 0) {
            throw new IllegalStateException(
                    "libtorch's current CUDA stream is not the default stream");
        }
        return 0;
    }
}

package org.qlora4j.app;

import java.lang.reflect.InvocationTargetException;

/**
 * Loads the Vector API into a JVM that was started without it. With {@code --add-modules} every
 * start of the command would write "WARNING: Using incubator modules" on stderr, and no option of
 * the JVM keeps it from that. The JVM itself loads further modules of the JDK later (it does so for
 * agents), by a class that {@code jvm.options} opens to us; HotSpot then compiles vectors as ever.
 */
final class VectorModule {
    private static final String NAME = "jdk.incubator.vector";

    private VectorModule() {}

    /**
     * To be called before a class is used that names the Vector API. Where it cannot be loaded the
     * kernels find it absent, and say what follows.
     */
    static void load() {
        if (ModuleLayer.boot().findModule(NAME).isPresent()) {
            return;
        }
        try {
            Class.forName("jdk.internal.module.Modules")
                    .getMethod("loadModule", String.class)
                    .invoke(null, NAME);
        } catch (ReflectiveOperationException e) {
            if (e instanceof InvocationTargetException thrown
                    && thrown.getCause() instanceof Error error) {
                throw error;
            }
        }
    }
}

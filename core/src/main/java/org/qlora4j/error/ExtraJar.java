package org.qlora4j.error;

import java.nio.file.Path;

/**
 * Jars that only some files need. An application that does not read or write those may exclude
 * them.
 */
public enum ExtraJar {
    FASTCSV("de.siegmar:fastcsv", "de.siegmar.fastcsv.reader.CsvReader"),
    HARDWOOD("dev.hardwood:hardwood-core", "dev.hardwood.InputFile"),
    XCHART("org.knowm.xchart:xchart", "org.knowm.xchart.XYChart"),
    ZSTD("com.github.luben:zstd-jni", "com.github.luben.zstd.Zstd");

    private final String artifact;
    private final String type;

    ExtraJar(String artifact, String type) {
        this.artifact = artifact;
        this.type = type;
    }

    /**
     * To be called before a class is used that names one of the jar.
     *
     * @param file what cannot be read or written without
     * @throws DeviceException if the jar is absent
     */
    public void requireFor(Path file) {
        try {
            Class.forName(type, false, ExtraJar.class.getClassLoader());
        } catch (ClassNotFoundException e) {
            throw new DeviceException(
                    "%s needs the jar %s, which is not there; qlora4j-core brings it where it is not excluded"
                            .formatted(file, artifact),
                    e);
        }
    }
}

package org.qlora4j;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.ArchConfiguration;
import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

/** The packages of the library use each other in one direction only, and some things not at all. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class PackageOrderTest {
    private static final String ROOT = "org.qlora4j";

    /** In the order data flows: a package uses itself and those before it. */
    private static final List<String> ORDER =
            List.of(
                    "error",
                    "hub",
                    "tensor",
                    "world",
                    "kernel",
                    "quant",
                    "autograd",
                    "template",
                    "tokenize",
                    "data",
                    "checkpoint",
                    "lora",
                    "model",
                    "optim",
                    "family",
                    "grammar",
                    "generate",
                    "export",
                    "metric",
                    "task",
                    "config",
                    "plan",
                    "run",
                    "train",
                    "report",
                    "measure",
                    "eval",
                    "ask",
                    "judge",
                    "study");

    /** The place of the public API, which uses all and is used by none of them. */
    private static final int API = ORDER.size();

    private final JavaClasses classes = walk();

    private static JavaClasses walk() {
        // names of foreign classes are enough; reading libtorch's takes long
        ArchConfiguration.get().setResolveMissingDependenciesFromClassPath(false);
        return new ClassFileImporter()
                .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
                .importPackages(ROOT);
    }

    /** Rules that walk nothing would hold. */
    @BeforeAll
    void everyClassFileOfTheLibrary_isWalked() throws IOException {
        try (Stream<Path> files = Files.walk(Path.of("target/classes/org/qlora4j"))) {
            long onDisk =
                    files.filter(f -> f.toString().endsWith(".class"))
                            .filter(f -> !f.endsWith("package-info.class"))
                            .count();
            long walked =
                    classes.stream().filter(c -> !c.getSimpleName().equals("package-info")).count();
            assertThat(walked).isEqualTo(onDisk).isGreaterThan(100);
        }
    }

    /** Position of the class's package in the order; -1 if it is not of the library. */
    private static int place(JavaClass c) {
        String name = c.getBaseComponentType().getPackageName();
        if (name.equals(ROOT)) {
            return API;
        }
        if (!name.startsWith(ROOT + ".")) {
            return -1;
        }
        String ours = name.substring(ROOT.length() + 1);
        int place = ORDER.indexOf(ours.contains(".") ? ours.substring(0, ours.indexOf('.')) : ours);
        assertThat(place).as("package %s is not in the order", name).isNotNegative();
        return place;
    }

    private static boolean isIn(JavaClass c, String... packages) {
        int place = place(c);
        return place >= 0 && place < API && List.of(packages).contains(ORDER.get(place));
    }

    @Test
    void everyPackageOfTheOrder_holdsClasses() {
        Set<String> held = new TreeSet<>();
        for (JavaClass c : classes) {
            int place = place(c);
            if (place >= 0 && place < API && !c.getSimpleName().equals("package-info")) {
                held.add(ORDER.get(place));
            }
        }
        assertThat(held).containsExactlyInAnyOrderElementsOf(ORDER);
    }

    @Test
    void imports_pointUpTheListOnly() {
        assertNone(d -> place(d.getTargetClass()) > place(d.getOriginClass()));
    }

    /** Class files forget what Javadoc alone imports. */
    @Test
    void importsOfJavadoc_pointUpTheListOnly() throws IOException {
        Pattern ours = Pattern.compile("(?m)^import (?:static )?org\\.qlora4j\\.([a-z]\\w*)\\.");
        TreeSet<String> found = new TreeSet<>();
        int seen = 0;
        for (String room : ORDER) {
            Path folder = Path.of("src/main/java/org/qlora4j").resolve(room);
            try (Stream<Path> files = Files.walk(folder)) {
                for (Path file : files.filter(f -> f.toString().endsWith(".java")).toList()) {
                    String source = Files.readString(file);
                    for (MatchResult used : ours.matcher(source).results().toList()) {
                        seen++;
                        if (ORDER.indexOf(used.group(1)) > ORDER.indexOf(room)) {
                            found.add(file.getFileName() + " of " + room + ": " + used.group());
                        }
                    }
                }
            }
        }
        assertThat(seen).isGreaterThan(100);
        assertThat(found).isEmpty();
    }

    @Test
    void javaCpp_isSeenByTensorAlone() {
        assertNone(d ->
                d.getTargetClass().getPackageName().startsWith("org.bytedeco")
                        && !isIn(d.getOriginClass(), "tensor"));
    }

    @Test
    void vectorApi_isSeenByKernelAlone() {
        assertNone(d ->
                d.getTargetClass().getPackageName().startsWith("jdk.incubator.vector")
                        && !isIn(d.getOriginClass(), "kernel"));
    }

    /** One reader of the settings maps records to keys by their components. */
    @Test
    void reflection_isForTheReaderOfSettingsAlone() {
        Set<String> allowed = Set.of(ROOT + ".config.RunConfigReader", ROOT + ".config.ConfigKeys");
        assertNone(d ->
                d.getTargetClass().getPackageName().startsWith("java.lang.reflect")
                        && !allowed.contains(outermost(d.getOriginClass()).getName()));
    }

    private static JavaClass outermost(JavaClass c) {
        return c.getEnclosingClass().map(PackageOrderTest::outermost).orElse(c);
    }

    private void assertNone(Predicate<Dependency> forbidden) {
        TreeSet<String> found = new TreeSet<>();
        for (JavaClass c : classes) {
            c.getDirectDependenciesFromSelf().stream()
                    .filter(forbidden)
                    .forEach(d -> found.add(d.getDescription()));
        }
        assertThat(found).isEmpty();
    }

    /**
     * Views of a tensor's memory end with its scope, so only these two packages make them. Above,
     * bytes are copied: {@code fromBytes}, {@code copyTo}, {@code copyOf}.
     */
    @Test
    void memoryOfTensors_isSeenByTensorAndKernelAlone() {
        TreeSet<String> found = new TreeSet<>();
        int seen = 0;
        for (JavaAccess<?> access : accessesOfTensor()) {
            String member = access.getTarget().getName();
            if (!Set.of("segment", "over", "address").contains(member)) {
                continue;
            }
            seen++;
            if (!isIn(access.getOriginOwner(), "tensor", "kernel")) {
                found.add(access.getDescription());
            }
        }
        assertThat(seen).as("uses in tensor and kernel").isPositive();
        assertThat(found).isEmpty();
    }

    /** Where a tensor lies is decided below the model: nothing above kernel asks for a device. */
    @Test
    void devices_areAskedForByTensorAndKernelAlone() {
        TreeSet<String> found = new TreeSet<>();
        for (JavaAccess<?> access : accessesOfTensor()) {
            String what = access.getTarget().getFullName().toLowerCase(Locale.ROOT);
            if ((what.contains("device") || what.contains("cuda"))
                    && !isIn(access.getOriginOwner(), "tensor", "kernel")) {
                found.add(access.getDescription());
            }
        }
        assertThat(found).isEmpty();
    }

    /** The choice is made once, by whoever starts a run, and not looked up again by its parts. */
    @Test
    void device_isChosenByWhatStartsARunAlone() {
        TreeSet<String> found = new TreeSet<>();
        int seen = 0;
        for (JavaClass c : classes) {
            for (JavaAccess<?> access : c.getAccessesFromSelf()) {
                JavaClass target = access.getTargetOwner();
                boolean chooses =
                        target.getName().equals(ROOT + ".kernel.Kernels")
                                && access.getTarget().getName().equals("select");
                if (chooses && !isIn(c, "kernel")) {
                    seen++;
                    if (!isIn(c, "train", "measure", "eval", "study") && place(c) != API) {
                        found.add(access.getDescription());
                    }
                }
            }
        }
        assertThat(seen).as("uses above kernel").isPositive();
        assertThat(found).isEmpty();
    }

    private List<JavaAccess<?>> accessesOfTensor() {
        return classes.stream()
                .flatMap(c -> c.getAccessesFromSelf().stream())
                .<JavaAccess<?>>map(a -> a)
                .filter(a -> isIn(a.getTargetOwner(), "tensor"))
                .toList();
    }
}

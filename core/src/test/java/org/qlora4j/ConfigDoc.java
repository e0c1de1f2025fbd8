package org.qlora4j;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import org.qlora4j.config.ConfigKeys;
import org.qlora4j.config.ConfigKeys.Key;
import org.qlora4j.config.RunConfig;

/** The text of docs/config.md, derived from the config records. */
final class ConfigDoc {
    private static final String HEAD =
            """
            # Settings
            Every key of the YAML file that `qlora train` reads, with its default. Made from the config records by `ConfigDocTest`, not
            written by hand: change the record, then run

                mvn -B -q -pl core test -Dtest=ConfigDocTest -Dqlora.docs.write=true

            Defaults are overridden by the file, the file by `key=value` words such as `train.max_steps=20`, those by flags. The flags of
            qlora.py are understood under their own names (`--lora_r 16`). A relative path in the file stands relative to the file's
            folder, one on the command line to the working folder. An unknown key is an error that names the nearest known one, and
            all that is wrong is said at once. `./qlora train CONFIG.yaml --dry-run` prints what all of it came to.
            The file begins with `version: %d`. Names are those of transformers, PEFT and bitsandbytes where these have one.
            """;

    private ConfigDoc() {}

    static String text() {
        StringBuilder out = new StringBuilder(String.format(Locale.ROOT, HEAD, RunConfig.VERSION));
        for (RecordComponent section : RunConfig.class.getRecordComponents()) {
            if (!section.getType().isRecord()) {
                continue;
            }
            String about =
                    section.getAccessor().getAnnotation(JsonPropertyDescription.class).value();
            out.append("\n## %s\n%s\n\n".formatted(section.getName(), about));
            out.append("| key | value | default | meaning |\n|---|---|---|---|\n");
            for (Key key : ConfigKeys.all()) {
                if (key.section().equals(section.getName())) {
                    out.append(row(key));
                }
            }
        }
        return out.toString();
    }

    private static String row(Key key) {
        return "| `%s` | %s | %s | %s |\n"
                .formatted(key.leaf(), values(key), defaultValue(key), cell(key.description()));
    }

    /** Constants as code, anything else in words. */
    private static String values(Key key) {
        String type =
                key.type().contains("|") && !key.type().contains(" ")
                        ? Arrays.stream(key.type().split("\\|"))
                                .map(value -> "`" + value + "`")
                                .collect(Collectors.joining(", "))
                        : cell(key.type());
        return key.nullable() ? type + ", or `null`" : type;
    }

    private static String defaultValue(Key key) {
        return key.required() ? "must be given" : "`" + cell(key.defaultValue()) + "`";
    }

    /** A line feed or an upright bar would end the cell. */
    private static String cell(String text) {
        return text.replace("|", "\\|").replace('\n', ' ');
    }
}

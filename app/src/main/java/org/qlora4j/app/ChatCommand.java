package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.LanguageModel;
import org.qlora4j.ServiceConfig;
import org.qlora4j.TextService;
import org.qlora4j.app.chat.ChatSession;
import org.qlora4j.app.chat.ChatTerminal;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.quant.QuantConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code qlora chat --model DIR}: a conversation in the terminal. */
@Command(
        name = "chat",
        description =
                "Talk to a model and its adapters in the terminal; /help lists what it knows.")
final class ChatCommand implements Callable<Integer> {
    /** An answer, or two beside each other. */
    private static final ServiceConfig SERVICE =
            new ServiceConfig(2, ServiceConfig.DEFAULT.promptPositions(), 2);

    @Mixin ModelOption model = new ModelOption();

    @Option(
            names = "--adapter",
            paramLabel = "[NAME=]DIR",
            description =
                    "A PEFT adapter or a run folder; may be given again. The first one answers, /adapter changes that.")
    List<String> adapters = new ArrayList<>();

    @Option(
            names = "--system",
            paramLabel = "TEXT",
            description = "A system message before the conversation.")
    @Nullable String system;

    @Option(
            names = "--history",
            paramLabel = "FILE",
            description =
                    "Keep what is typed in this file, for the arrow keys of other conversations too.")
    @Nullable Path history;

    @Mixin TemplateOptions template = new TemplateOptions();

    @Mixin SamplingOptions sampling = new SamplingOptions();

    @Mixin HeldOption held = new HeldOption();

    @Mixin DeviceOption device = new DeviceOption();

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        GenerationConfig config = sampling.config();
        template.variables(); // its errors come before the weights
        QuantConfig weights = held.config();
        try (LanguageModel loaded = LanguageModel.load(model.path, weights, device.choice())) {
            if (!loaded.hasChatTemplate()) {
                throw ConfigException.of(
                        "%s has no chat template; continue texts with qlora generate --raw",
                        model.path);
            }
            try (TextService service = template.on(loaded).serve(SERVICE)) {
                adapters.forEach(each -> ChatSession.load(service, each));
                String first = adapters.isEmpty() ? null : service.adapters().getFirst();
                new ChatTerminal(service, out, history)
                        .talk(width -> new ChatSession(service, first, system, config, out, width));
            }
        }
        return ExitCode.OK;
    }
}

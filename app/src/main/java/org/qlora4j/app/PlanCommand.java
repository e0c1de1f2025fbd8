package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.Overrides;
import org.qlora4j.config.RunConfig;
import org.qlora4j.model.ModelShape;
import org.qlora4j.plan.MemoryAdvice;
import org.qlora4j.plan.MemoryPlan;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/** {@code qlora plan CONFIG.yaml}: what a run will take of memory, before anything is loaded. */
@Command(
        name = "plan",
        description =
                "Say how much memory a run will take, part by part, from its settings and config.json alone.",
        footer = {
            "",
            "Without a checkpoint the shapes llama-7b, llama-13b, llama-33b and llama-65b are known by name:",
            "qlora plan model.model_name_or_path=llama-65b lora.r=64 --device 48GB"
        })
final class PlanCommand implements Callable<Integer> {
    @Option(
            names = "--device",
            paramLabel = "cpu|24GB|48GB|...",
            description = "What it must fit: this machine, or a GPU of a size (${DEFAULT-VALUE}).")
    String device = "cpu";

    @Option(names = "--json", description = "Print one JSON line.")
    boolean json;

    @Mixin RunSettings settings = new RunSettings();

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        MemoryBudget budget = MemoryBudget.of(device);
        RunConfig config = config();
        ModelShape model = MemoryPlan.shape(config);
        MemoryPlan plan = MemoryPlan.of(config, model, budget.machine());
        MemoryAdvice advice = MemoryAdvice.of(config, model, budget.machine(), budget.free());
        if (json) {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("model", config.model().modelNameOrPath());
            line.put("parts", plan.parts());
            line.put("total", plan.total());
            line.put("free", budget.free());
            line.put("fits", plan.total() <= budget.free());
            line.put("advice", advice.fits() ? advice.settings() : List.of());
            out.println(new JsonMapper().writeValueAsString(line));
            return ExitCode.OK;
        }
        print(out, budget, config, model, plan, advice);
        return ExitCode.OK;
    }

    private static void print(
            PrintWriter out,
            MemoryBudget budget,
            RunConfig config,
            ModelShape model,
            MemoryPlan plan,
            MemoryAdvice advice) {
        MemoryPlan.Load load = MemoryPlan.Load.of(config, model);
        out.printf(
                Locale.ROOT,
                "%s: %.2fB weights; %d x %s tokens, %s, %s%n",
                Path.of(config.model().modelNameOrPath()).getFileName(),
                model.parameterCount() / 1e9,
                load.batch(),
                load.source() == 0 ? load.time() : load.source() + " + " + load.time(),
                load.full() ? "all weights learn" : "rank " + config.lora().r(),
                load.checkpointing() ? "checkpointing" : "no checkpointing");
        plan.parts().forEach((name, bytes) -> out.printf("  %-26s%10s%n", name, text(bytes)));
        if (load.optim().paged()) {
            out.println("  (the optimizer's state is paged: the system may move it out of memory)");
        }
        if (load.streamed()) {
            out.println("  (layers stay on disk; two of them are in memory at a time)");
        }
        if (load.stages() > 1) {
            out.printf(
                    "  (layers are divided over %d processes; this one takes most)%n",
                    load.stages());
        }
        out.printf("  %-26s%10s%n", "tensors in all", text(plan.total()));
        out.printf(
                "%s: %s, of which %s are left for tensors: %s%n",
                budget.name(),
                text(budget.bytes()),
                text(budget.free()),
                plan.total() <= budget.free() ? "fits" : "does not fit");
        if (plan.total() <= budget.free()) {
            int most = MemoryAdvice.largestBatch(config, model, budget.machine(), budget.free());
            out.printf(
                    "largest %s that fits: %d%n",
                    load.stages() > 1
                            ? "number of rows that go through a stage at once"
                            : "train.per_device_train_batch_size",
                    most);
        } else if (advice.fits()) {
            out.printf(
                    "fits, with %s, as: %s%n",
                    text(advice.plan().total()), String.join(" ", advice.settings()));
        } else {
            out.printf(
                    "the least it can be set to take is %s; shorten data.source_max_len and"
                            + " data.target_max_len, or lower lora.r%n",
                    text(advice.plan().total()));
        }
    }

    private static String text(long bytes) {
        return bytes < 1 << 20 ? (bytes >> 10) + " KiB" : ByteSize.text(bytes);
    }

    /** Settings as qlora train takes them, but that data and run folder need not be named. */
    private RunConfig config() {
        List<Overrides.Setting> more = new ArrayList<>();
        if (!settings.nameAFile()) {
            addUnlessGiven(more, "data.dataset", "unused.jsonl");
            addUnlessGiven(more, "train.output_dir", "unused");
        }
        var err = Objects.requireNonNull(spec, "picocli sets it").commandLine().getErr();
        return settings.read(more, line -> err.println("qlora: " + line));
    }

    private void addUnlessGiven(List<Overrides.Setting> more, String key, String value) {
        if (settings.words.stream().noneMatch(w -> w.startsWith(key + "="))) {
            more.add(new Overrides.Setting(key, value, true, key));
        }
    }
}

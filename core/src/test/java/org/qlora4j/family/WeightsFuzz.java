package org.qlora4j.family;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.qlora4j.checkpoint.Bnb4bit;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.export.AdapterMerge;
import org.qlora4j.export.GgufFormat;
import org.qlora4j.export.MergeTarget;
import org.qlora4j.export.ModelExport;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import org.qlora4j.testing.FuzzChild;
import org.qlora4j.testing.Mutation;
import org.qlora4j.testing.Strangers;
import org.qlora4j.testing.TinyLlama;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Damaged files of weights, each read to its last tensor: safetensors, {@code torch.save}'s, and
 * GGUF with the config, tokenizer and template that it holds.
 */
final class WeightsFuzz {
    /** A sound file, and how far what describes its tensors goes. */
    private record Sound(String name, byte[] bytes, int from, int to) {}

    private static final List<String> KEYS =
            List.of(
                    "general.architecture",
                    "general.alignment",
                    "llama.block_count",
                    "llama.embedding_length",
                    "llama.feed_forward_length",
                    "llama.context_length",
                    "llama.vocab_size",
                    "llama.attention.head_count",
                    "llama.attention.head_count_kv",
                    "llama.attention.key_length",
                    "llama.attention.layer_norm_rms_epsilon",
                    "llama.rope.freq_base",
                    "llama.rope.dimension_count",
                    "tokenizer.ggml.model",
                    "tokenizer.ggml.pre",
                    "tokenizer.ggml.tokens",
                    "tokenizer.ggml.token_type",
                    "tokenizer.ggml.scores",
                    "tokenizer.ggml.merges",
                    "tokenizer.ggml.bos_token_id",
                    "tokenizer.ggml.eos_token_id",
                    "tokenizer.ggml.unknown_token_id",
                    "tokenizer.ggml.padding_token_id",
                    "tokenizer.ggml.add_bos_token",
                    "tokenizer.ggml.add_space_prefix",
                    "tokenizer.chat_template");

    private static final List<Integer> NUMBERS =
            List.of(
                    -1,
                    0,
                    1,
                    2,
                    3,
                    6,
                    7,
                    159,
                    160,
                    161,
                    65536,
                    Integer.MAX_VALUE,
                    Integer.MIN_VALUE);

    private WeightsFuzz() {}

    public static void main(String[] arguments) throws IOException {
        Path folder = Files.createTempDirectory("fuzz");
        List<Sound> sound = sound(folder);
        Path out = folder.resolve("made");
        FuzzChild.main(
                arguments,
                seed -> {
                    Random random = new Random(seed);
                    Sound one = Mutation.one(sound, random);
                    Path file = folder.resolve(one.name);
                    Files.write(file, damaged(one, random));
                    if (random.nextBoolean() && one.name.endsWith(".gguf")) {
                        empty(out);
                        readAlone(file, Files.createDirectories(out));
                    } else {
                        readAll(file);
                    }
                });
        empty(out);
        empty(folder);
    }

    private static List<Sound> sound(Path folder) throws IOException {
        Path exported = folder.resolve("tiny.gguf");
        QuantConfig plain = new QuantConfig(false, QuantType.NF4, false, 64, ComputeDtype.FLOAT32);
        new ModelExport(
                        new AdapterMerge(
                                ModelPlace.of(TinyLlama.folder()), null, null, plain, null),
                        MergeTarget.ORIGINAL,
                        List.of(),
                        List.of("the text"))
                .gguf(GgufFormat.Q8_0, exported, false);
        List<Sound> sound = new ArrayList<>();
        byte[] gguf = Files.readAllBytes(exported);
        sound.add(new Sound("a.gguf", gguf, 0, Math.min(gguf.length, 6000)));
        sound.add(new Sound("b.gguf", gguf, 0, 400));
        byte[] torch =
                Files.readAllBytes(
                        Strangers.folder("torch").resolve("pytorch_model-00002-of-00002.bin"));
        sound.add(new Sound("a.bin", torch, 0, 1500));
        byte[] tensors =
                Files.readAllBytes(Strangers.folder("bnb-skip").resolve("model.safetensors"));
        int header = 8 + (tensors[0] & 0xFF) + 256 * (tensors[1] & 0xFF);
        sound.add(new Sound("a.safetensors", tensors, 0, header));
        return sound;
    }

    /** Bytes changed at random; sometimes a number of 32 or 64 bits as a whole. */
    private static byte[] damaged(Sound sound, Random random) {
        byte[] bytes = sound.bytes.clone();
        if (sound.name.endsWith(".gguf") && random.nextInt(3) > 0) {
            otherValue(bytes, random);
            return bytes;
        }
        for (int i = random.nextInt(4); i >= 0; i--) {
            int at = sound.from + random.nextInt(sound.to - sound.from);
            switch (random.nextInt(6)) {
                case 0 -> bytes[at] = (byte) random.nextInt(256);
                case 1 -> bytes[at] = (byte) (bytes[at] + (random.nextBoolean() ? 1 : -1));
                case 2 -> bytes[at] = (byte) "0-{[\"],:}.e".charAt(random.nextInt(11));
                case 3 -> fill(bytes, at, random.nextBoolean() ? 4 : 8, (byte) 0xFF);
                case 4 -> fill(bytes, at, random.nextBoolean() ? 4 : 8, (byte) 0);
                default -> {
                    int from = sound.from + random.nextInt(sound.to - sound.from);
                    int count = Math.min(1 + random.nextInt(30), bytes.length - Math.max(at, from));
                    System.arraycopy(sound.bytes, from, bytes, at, count);
                }
            }
        }
        return random.nextInt(12) == 0
                ? java.util.Arrays.copyOf(bytes, random.nextInt(bytes.length))
                : bytes;
    }

    /** Gives keys of a GGUF file other values, or values of another type. */
    private static void otherValue(byte[] bytes, Random random) {
        String text = new String(bytes, StandardCharsets.ISO_8859_1);
        for (int i = random.nextInt(3); i >= 0; i--) {
            String key = Mutation.one(KEYS, random);
            int at = text.indexOf(key);
            if (at >= 0) {
                ByteBuffer value = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
                int type = at + key.length(); // four bytes, before the value or the array's type
                switch (random.nextInt(5)) {
                    case 0 -> value.putInt(type, random.nextInt(14));
                    case 1 -> value.putInt(type + 4 + 4 * random.nextInt(3), random.nextInt(14));
                    default ->
                            value.putInt(
                                    type + 4 * (1 + random.nextInt(8)),
                                    Mutation.one(NUMBERS, random));
                }
            }
        }
    }

    private static void fill(byte[] bytes, int at, int count, byte value) {
        java.util.Arrays.fill(bytes, at, Math.min(bytes.length, at + count), value);
    }

    private static void readAll(Path file) {
        try (Checkpoint checkpoint = Checkpoint.open(file);
                Arena arena = Arena.ofConfined()) {
            Bnb4bit.of(checkpoint);
            for (String tensor : checkpoint.names()) {
                long bytes = checkpoint.read(tensor, arena).data().byteSize();
                if (bytes != checkpoint.info(tensor).bytes()) {
                    throw new IllegalStateException(tensor + " has " + bytes + " bytes");
                }
            }
        }
    }

    /** What a model is made of where nothing lies beside the file. */
    private static void readAlone(Path file, Path out) {
        GgufFolder.write(file, out);
        Families.shape(out);
        try (Tokenizer tokenizer = Tokenizer.load(out)) {
            tokenizer.decode(tokenizer.encode("the <s> tea\n 12", true), false);
            tokenizer.chatTemplate();
        }
    }

    private static void empty(Path folder) throws IOException {
        if (Files.isDirectory(folder)) {
            try (var files = Files.list(folder)) {
                for (Path file : files.toList()) {
                    Files.delete(file);
                }
            }
            Files.delete(folder);
        }
    }
}

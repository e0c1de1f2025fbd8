package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Words, flags and keys that people bring along from Axolotl, LLaMA-Factory, TRL, mlx-lm and
 * qlora.py, or mistype: what the one line of the error leads them to.
 */
class WordsTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '"',
            textBlock =
                    """
                    help | qlora --help
                    usage | qlora --help
                    version | qlora --version
                    finetune | qlora train
                    fine-tune | qlora train
                    sft | qlora train
                    trian | train
                    tarin | train
                    genrate | generate
                    resume | --resume
                    infer | qlora generate
                    fuse | qlora merge
                    merge_lora | qlora merge
                    gguf | qlora export
                    convert | qlora export
                    server | qlora serve --model
                        evaluate | qlora perplexity
                    inspect | qlora data inspect
                    benchmark | qlora bench
                    estimate | qlora plan
                    download | org/name
                    train --rank 8 | lora.r=VALUE
                    train --lr 1e-4 | train.learning_rate=VALUE
                    train --epochs 3 | train.num_train_epochs=VALUE
                    train --batch-size 4 | train.per_device_train_batch_size=VALUE
                    train --micro_batch_size 4 | train.per_device_train_batch_size=VALUE
                    train --iters 100 | train.max_steps=VALUE
                    train --cutoff_len 512 | data.source_max_len=VALUE
                    train --max_seq_length 512 | data.source_max_len=VALUE
                    train --max_length 512 | data.source_max_len=VALUE
                    train --num-layers 8 | lora.layers_to_transform=VALUE
                    train --adapter-path out | train.output_dir=VALUE
                    train --grad-checkpoint | train.gradient_checkpointing=VALUE
                    train --steps-per-eval 10 | eval.eval_steps=VALUE
                    train --val_size 0.1 | data.eval_dataset_size=VALUE
                    train --template llama3 | data.chat_template=VALUE
                    train --lora_target all | lora.target_modules=VALUE
                    train --lora_rank 8 | lora.r=VALUE
                    train --flash_attn fa2 | leave the key out
                    train --deepspeed ds.json | has no effect
                    train --load_in_8bit | quantization.load_in_8bit
                    train learning_rate=1e-4 | did you mean train.learning_rate
                    train r=8 | did you mean lora.r
                    train lr=1e-4 | did you mean train.learning_rate
                    train sample_packing=true | did you mean data.packing
                    train sequence_len=512 | did you mean data.source_max_len
                    train val_set_size=0.1 | did you mean data.eval_dataset_size
                    train base_model=x | did you mean model.model_name_or_path
                    train micro_batch_size=2 | did you mean train.per_device_train_batch_size
                    train num_epochs=2 | did you mean train.num_train_epochs
                    train train_on_inputs=true | did you mean data.train_on_source
                    train lora_target_linear=true | did you mean lora.target_modules
                    train neat_packing=true | did you mean data.packing
                    train quantization_bit=4 | did you mean quantization.load_in_4bit
                    train finetuning_type=lora | did you mean train.full_finetune
                    train mask_prompt=true | did you mean data.train_on_source
                    train assistant_only_loss=true | did you mean data.roles_to_train
                    train dataset_text_field=text | did you mean data.columns
                    train lora.rank=8 | did you mean lora.r
                    train train.lr=1e-4 | did you mean train.learning_rate
                    train lora.target_modlues=[q_proj] | did you mean lora.target_modules
                    train wandb_project=x | train.report_to
                    train hub_model_id=me/x | nothing is uploaded
                    train resume_from_checkpoint=true | --resume
                    train fp16=true | bfloat16
                    """)
    void word_leadsToWhatIsMeant(String typed, String hint) {
        var err = new StringWriter();
        int exitCode =
                Main.run(
                        typed.split(" "),
                        new PrintWriter(new StringWriter()),
                        new PrintWriter(err));
        assertThat(exitCode).isEqualTo(2);
        assertThat(err.toString()).contains(hint);
    }
}

"""Writes a random checkpoint of the shape that `./qlora bench train --model llama-1.1b` has, in bf16, for peers.
usage: llama_shape_hf.py DIRECTORY
Made with transformers 5.23.0 and torch 2.10.0; the weights do not matter, their sizes do."""

import sys

import torch
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=32000,
    hidden_size=2048,
    intermediate_size=5632,
    num_hidden_layers=22,
    num_attention_heads=32,
    num_key_value_heads=4,
    tie_word_embeddings=False,
)
LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(sys.argv[1])

"""Small models of Hugging Face's transformers with random weights, and what they compute: fixtures/models/<name>/ gets
config.json and model.safetensors as transformers writes them, and expected.json with inputs, logits, loss and the norm of each
gradient. Usage: model_fixtures.py <folder>; with --check <folder> it loads a folder that sluice exported and prints logits."""

import json
import sys
from pathlib import Path

import torch
import transformers as t

V, C, L = 48, 16, 2
torch.set_num_threads(1)

llama = dict(vocab_size=V, hidden_size=C, intermediate_size=28, num_hidden_layers=L, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=32, attn_implementation="eager")
bert = dict(vocab_size=V, hidden_size=C, intermediate_size=28, num_hidden_layers=L, num_attention_heads=4,
            max_position_embeddings=32, attn_implementation="eager")
t5 = dict(vocab_size=V, d_model=C, d_kv=6, d_ff=28, num_layers=L, num_decoder_layers=L + 1, num_heads=4,
          relative_attention_num_buckets=8, relative_attention_max_distance=12, decoder_start_token_id=0)
llama3 = dict(rope_type="llama3", rope_theta=10000.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)

CASES = {
    "gpt2": lambda: t.GPT2LMHeadModel(t.GPT2Config(vocab_size=V, n_positions=32, n_embd=C, n_layer=L, n_head=4,
                                                   attn_implementation="eager")),
    "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**llama)),
    "llama3": lambda: t.LlamaForCausalLM(t.LlamaConfig(**llama, rope_parameters=llama3)),
    "smollm2": lambda: t.LlamaForCausalLM(t.LlamaConfig(**llama, tie_word_embeddings=True)),
    "mistral": lambda: t.MistralForCausalLM(t.MistralConfig(**llama, sliding_window=5)),
    "qwen2": lambda: t.Qwen2ForCausalLM(t.Qwen2Config(**llama, tie_word_embeddings=True)),
    "qwen3": lambda: t.Qwen3ForCausalLM(t.Qwen3Config(**llama, head_dim=6)),
    "bert": lambda: t.BertForMaskedLM(t.BertConfig(**bert)),
    "bert-classifier": lambda: t.BertForSequenceClassification(t.BertConfig(**bert, num_labels=3)),
    "modernbert": lambda: t.ModernBertForMaskedLM(t.ModernBertConfig(**bert, local_attention=6, pad_token_id=0)),
    "modernbert-classifier": lambda: t.ModernBertForSequenceClassification(
        t.ModernBertConfig(**bert, local_attention=6, pad_token_id=0, num_labels=3, classifier_pooling="cls")),
    "t5": lambda: t.T5ForConditionalGeneration(t.T5Config(**t5)),
    "t5-v1.1": lambda: t.T5ForConditionalGeneration(
        t.T5Config(**t5, feed_forward_proj="gated-gelu", tie_word_embeddings=False)),
}


def inputs_of(name, model):
    generator = torch.Generator().manual_seed(7)
    ids = torch.randint(1, V, (2, 12), generator=generator)
    if name.startswith("t5"):
        return dict(input_ids=ids, labels=torch.randint(1, V, (2, 7), generator=generator))
    if name.endswith("classifier"):
        inputs = dict(input_ids=ids, labels=torch.tensor([2, 0]))
    elif "bert" in name:
        labels = torch.full((2, 12), -100)
        labels[0, 3], labels[0, 7], labels[1, 0], labels[1, 11] = 5, 9, 1, 40
        inputs = dict(input_ids=ids, labels=labels)
    else:
        return dict(input_ids=ids, labels=ids)
    if name.startswith("bert"):
        inputs["token_type_ids"] = torch.randint(0, 2, (2, 12), generator=generator)
    return inputs


def write(folder, name, make):
    torch.manual_seed(1)
    model = make().eval()
    if name == "t5-v1.1":  # its checkpoints have a head of their own, which transformers 5 keeps where it finds one
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn_like(parameter)
            parameter.copy_(1 + 0.2 * noise if parameter.ndim == 1 and (parameter == 1).all() else 0.25 * noise)
    inputs = inputs_of(name, model)
    output = model(**inputs)
    output.loss.backward()
    model.save_pretrained(folder / name)
    (folder / name / "generation_config.json").unlink(missing_ok=True)
    expected = dict(
        inputs={key: value.tolist() for key, value in inputs.items()},
        loss=output.loss.item(),
        logits=[round(x, 6) for x in output.logits.flatten().tolist()],
        gradients={key: float(p.grad.norm()) for key, p in model.named_parameters() if p.grad is not None},
    )
    (folder / name / "expected.json").write_text(json.dumps(expected) + "\n")
    print(name, output.loss.item())


def check(folder):
    """Loads what sluice exported, and prints the largest difference to the fixture's logits."""
    for path in sorted(Path(folder).iterdir()):
        config = t.AutoConfig.from_pretrained(path)
        model = getattr(t, config.architectures[0]).from_pretrained(path, attn_implementation="eager").eval()
        expected = json.loads((path / "expected.json").read_text())
        with torch.no_grad():
            logits = model(**{key: torch.tensor(value) for key, value in expected["inputs"].items()}).logits
        print(path.name, float((logits.flatten() - torch.tensor(expected["logits"])).abs().max()))


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        check(sys.argv[2])
    else:
        for name, make in CASES.items():
            write(Path(sys.argv[1]), name, make)

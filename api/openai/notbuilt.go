package openai

// asks reports whether a value asks for nothing, so that a client which always
// sends a member with its default is served.
type asks func(v value) bool

func never(value) bool  { return false }
func always(value) bool { return true }

// only accepts the JSON texts given, compared byte by byte.
func only(texts ...string) asks {
	return func(v value) bool {
		for _, t := range texts {
			if string(v) == t {
				return true
			}
		}
		return false
	}
}

func empty(v value) bool {
	switch v.kind() {
	case "array", "object":
		return len(v.inside()) == 0
	case "string":
		return len(v) == 2
	}
	return false
}

func textOnly(v value) bool {
	plain := v.kind() == "array"
	if plain {
		_ = v.items(func(_ int, v value) error {
			plain = plain && v.kind() == "string" && v.text() == "text"
			return nil
		})
	}
	return plain
}

var (
	off  = only("false")
	zero = only("0", "0.0", "-1", "-1.0", "false")
	one  = only("1", "1.0", "true")
)

// notBuilt lists the members that OpenAI or a peer (vLLM, SGLang, llama.cpp,
// Ollama, LMDeploy, LightLLM, TGI) knows and that have no effect here, with the
// values under which having none is right.
var notBuilt = map[string]asks{
	// OpenAI: bookkeeping that cannot change the answer.
	"user": always, "metadata": always, "store": always, "service_tier": always, "safety_identifier": always,
	"prompt_cache_key": always, "prompt_cache_retention": always,

	// OpenAI.
	"functions": empty, "function_call": only(`"none"`, `"auto"`), "audio": never, "prediction": never, "modalities": textOnly,
	"verbosity": only(`"medium"`), "web_search_options": never, "moderation": never,

	// Structured output.
	"guided_decoding_backend": always, "guided_whitespace_pattern": never, "grammar_lazy": off, "grammar_triggers": empty, "format": empty,

	// Reasoning.
	"reasoning_budget_message": empty, "reasoning_history": never,
	"custom_params": empty, "repetition_detection": never, "thinking_forced_open": off, "parse_tool_calls": always,
	"reasoning_in_content": off, "include_thinking": only("true"),

	// Sampling.
	"best_of": one, "use_beam_search": off, "length_penalty": one, "early_stopping": off, "beam_width": one,
	"bad_words": empty, "allowed_token_ids": empty, "logits_processors": empty, "custom_logit_processor": never,
	"min_new_tokens": only("0"), "max_new_tokens": never, "n_predict": never, "num_predict": never, "num_ctx": never,
	"random_seed": never, "typical_p": one, "top_a": zero, "tfs_z": one, "top_n_sigma": zero,
	"mirostat": zero, "mirostat_tau": always, "mirostat_eta": always, "dynatemp_range": zero, "dynatemp_exponent": always,
	"dry_multiplier": zero, "dry_base": always, "dry_allowed_length": always, "dry_penalty_last_n": always,
	"dry_sequence_breakers": always, "xtc_probability": zero, "xtc_threshold": always, "samplers": empty, "min_keep": zero,
	"repeat_penalty": one, "repeat_last_n": always, "penalty_last_n": always, "repetition_ngram_size": zero,
	"repetition_ngram_threshold": always, "adaptive_target": zero, "do_sample": never, "typical": one,

	// Stopping and output.
	"stop_regex": empty, "no_stop_trim": off, "echo": off, "suffix": empty, "detokenize": only("true"),
	"spaces_between_special_tokens": only("true"), "truncate_prompt_tokens": never, "prompt_truncation": never,
	"logprob_token_ids": empty, "n_probs": only("0"), "post_sampling_probs": off,
	"return_tokens_as_token_ids": off, "return_tokens": off, "return_prompt_text": off,
	"return_hidden_states": off, "return_cached_tokens_details": off, "return_routed_experts": off,
	"return_meta_info": off, "return_progress": off, "timings_per_token": off, "output_kind": never,
	"token_healing": off, "enable_response_messages": off, "add_special_tokens": off, "verbose": off,

	// Templates, media, adapters, placement.
	"chat_template": never, "documents": empty, "mm_processor_kwargs": empty, "media_io_kwargs": empty,
	"lora_path": never, "lora": empty, "lora_request": never, "adapter_id": never, "adapter_name": never, "session_params": empty,
	"session_id": always, "rid": always, "id_slot": only("-1"), "cache_prompt": always,
	"keep_alive": always, "options": empty, "kv_transfer_params": empty, "ec_transfer_params": empty, "vllm_xargs": empty,
	"provider": never, "models": never, "route": never, "transforms": empty, "plugins": empty, "usage": always, "safe_prompt": off,
	"data_parallel_rank": never, "routed_dp_rank": never, "bootstrap_host": never, "bootstrap_port": never,
	"bootstrap_room": never, "extra_key": never, "prompt_embeds": never, "input_ids": never, "prompt": never,
	"stream_interval": only("1"), "guidance_scale": one, "raw": off, "template": empty,
}

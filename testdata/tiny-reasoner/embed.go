// Package tinyreasoner embeds the default model: a small Qwen3-architecture
// model that really reasons before it answers. train/README.md tells how it
// was made; golden.json holds exact outputs that transformers computed for it.
package tinyreasoner

import "embed"

// FS holds the model folder just as `reasond serve FOLDER` expects it on disk.
//
//go:embed config.json generation_config.json tokenizer.json tokenizer_config.json chat_template.jinja model.safetensors
var FS embed.FS

package config

import (
	"path/filepath"
	"strings"
)

// Hub says where models are downloaded from and where they are kept.
type Hub struct {
	Endpoint string // base URL of the hub
	Token    string // for private models; empty: none
	Offline  bool   // use only what the cache holds
	Cache    string // folder laid out as Hugging Face's tools do, models--org--name and so on
}

const defaultEndpoint = "https://huggingface.co"

// HubFromEnv reads the variables that Hugging Face's own tools read. home is
// the user's home folder; readFile reads the saved token, if there is one.
func HubFromEnv(get Getenv, home string, readFile func(string) ([]byte, error)) Hub {
	base := get.value("HF_HOME")
	if base == "" {
		cache := get.value("XDG_CACHE_HOME")
		if cache == "" {
			cache = filepath.Join(home, ".cache")
		}
		base = filepath.Join(cache, "huggingface")
	}
	h := Hub{
		Endpoint: strings.TrimRight(get.value("HF_ENDPOINT"), "/"),
		Token:    get.value("HF_TOKEN"),
		Offline:  truth(get.value("HF_HUB_OFFLINE")),
		Cache:    get.value("HF_HUB_CACHE"),
	}
	if h.Endpoint == "" {
		h.Endpoint = defaultEndpoint
	}
	if h.Cache == "" {
		h.Cache = filepath.Join(base, "hub")
	}
	if h.Token == "" {
		file := get.value("HF_TOKEN_PATH")
		if file == "" {
			file = filepath.Join(base, "token")
		}
		if b, err := readFile(file); err == nil {
			h.Token = strings.TrimSpace(string(b))
		}
	}
	return h
}

// truth reads a switch as huggingface_hub does.
func truth(s string) bool {
	switch strings.ToUpper(s) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

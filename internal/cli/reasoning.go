package cli

import (
	"github.com/reasond/reasond/internal/config"
	"github.com/reasond/reasond/internal/server"
)

// answersReasoning is how a server answers chats that do not say it.
func answersReasoning(r config.Reasoning) server.Reasoning {
	field := server.Field(r.Field)
	if r.Field == "both" {
		field = server.BothFields
	}
	return server.Reasoning{
		Field: field, InLine: !r.Separate || r.Format == "none",
		Legacy: r.Format == "deepseek-legacy", Hold: !r.Stream, Drop: !r.Include,
	}
}

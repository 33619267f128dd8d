package cli

import (
	"context"
	"errors"
)

func newLocalTalker(ctx context.Context, w world, o chatOptions) (talker, error) {
	return nil, errors.New("chat: --url is needed")
}

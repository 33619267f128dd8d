package prompt

// chat is an input, read and checked.
type chat struct {
	messages *node    // an array of objects, each with a role
	tools    *node    // an array with items, or nil
	kwargs   []member // in the order of their names
}

func readChat(in Input) (chat, error) {
	var c chat
	var err error
	if c.messages, err = parse(in.Messages); err != nil {
		return c, invalid("messages", "messages: %v", err)
	}
	if !c.messages.is(arrayNode) || len(c.messages.items) == 0 {
		return c, invalid("messages", "messages must be an array with at least one message")
	}
	for i, m := range c.messages.items {
		if !m.is(objectNode) || !m.get("role").isText() {
			return c, invalid("messages", "messages[%d] must be an object with a role", i)
		}
	}
	if len(in.Tools) > 0 {
		if c.tools, err = parse(in.Tools); err != nil {
			return c, invalid("tools", "tools: %v", err)
		}
		switch {
		case c.tools.isNull(), c.tools.is(arrayNode) && len(c.tools.items) == 0:
			c.tools = nil
		case !c.tools.is(arrayNode):
			return c, invalid("tools", "tools must be an array")
		}
	}
	c.kwargs, err = readKwargs(in.Kwargs)
	return c, err
}

// each calls f with every client string of the chat, but for the names of a
// message's members, roles and the names of variables: a template compares
// those, it does not print them.
func (c chat) each(f func(string) string) {
	for _, m := range c.messages.items {
		for _, member := range m.members {
			if member.name != "role" {
				member.value.each(f)
			}
		}
	}
	if c.tools != nil {
		c.tools.each(f)
	}
	for _, k := range c.kwargs {
		k.value.each(f)
	}
}

package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func template(t *testing.T, source string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "template.jinja")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRenderWritesThePromptAndNothingElse(t *testing.T) {
	file := template(t, "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ eos_token }}{% endfor %}"+
		"{% if add_generation_prompt %}[assistant]{% endif %}{{ mood }}{% if tools %}{{ tools|tojson }}{% endif %}")
	const messages = `"messages":[{"role":"user","content":"a <b> \n"}]`
	for input, want := range map[string]string{
		`{` + messages + `,"bos_token":"<s>","eos_token":"</s>"}`:                 "<s>[user] a <b> \n</s>[assistant]",
		`{` + messages + `,"add_generation_prompt":false,"bos_token":null}`:       "[user] a <b> \n",
		`{` + messages + `,"mood":"glad","tools":[{"z":1,"a":"ü"}],"tools_":[1]}`: "[user] a <b> \n[assistant]glad" + `[{"z": 1, "a": "ü"}]`,
	} {
		code, out, stderr := invoke(t, input, "render", "--chat-template", file)
		if code != exitOK || out != want || stderr != "" {
			t.Errorf("%s: exit %d %s\n got %q\nwant %q", input, code, stderr, out, want)
		}
	}
}

func TestRenderSaysInOneLineWhatIsWrong(t *testing.T) {
	good := template(t, "{{ messages }}")
	for _, tc := range []struct {
		input string
		args  []string
		want  string
		code  int
	}{
		{"{}", nil, "reasond: render needs --chat-template FILE\n", exitUsage},
		{"{}", []string{"--chat-template", "/nowhere.jinja"}, "reasond: --chat-template: open /nowhere.jinja: no such file or directory\n", exitError},
		{"[]", []string{"--chat-template", good}, "reasond: standard input is not a JSON object\n", exitError},
		{`{"messages":[],"add_generation_prompt":3}`, []string{"--chat_template", good}, "reasond: add_generation_prompt: json: cannot unmarshal number into Go value of type bool\n", exitError},
		{`{"messages":[{"role":"user","content":"x"}]}`, []string{"--chat-template", template(t, "{% if %}")}, "", exitError},
		{`{"messages":[{"role":"user","content":"x"}]}`, []string{"--chat-template", template(t, "{{ raise_exception('no') }}")}, "", exitError},
		{`{"messages":"x"}`, []string{"--chat-template", good}, "", exitError},
	} {
		code, out, stderr := invoke(t, tc.input, append([]string{"render"}, tc.args...)...)
		if code != tc.code || out != "" || tc.want != "" && stderr != tc.want {
			t.Errorf("%s %q: exit %d, out %q, err %q", tc.input, tc.args, code, out, stderr)
		}
	}
}

// The goldens of the built-in model were rendered by transformers.
func TestRenderEqualsTheGoldens(t *testing.T) {
	const model = "../../testdata/tiny-reasoner/"
	raw, err := os.ReadFile(model + "golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Cases []struct {
			Name     string
			Messages json.RawMessage
			Kwargs   map[string]json.RawMessage
			Prompt   string
		}
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) < 30 {
		t.Fatalf("%d cases", len(golden.Cases))
	}
	for _, c := range golden.Cases {
		input := map[string]json.RawMessage{"messages": c.Messages}
		for name, value := range c.Kwargs {
			input[name] = value
		}
		in, err := json.Marshal(input)
		if err != nil {
			t.Fatal(err)
		}
		code, out, stderr := invoke(t, string(in), "render", "--chat-template", model+"chat_template.jinja")
		if code != exitOK || out != c.Prompt {
			t.Errorf("%s: exit %d %s\n got %q\nwant %q", c.Name, code, stderr, out, c.Prompt)
		}
	}
}

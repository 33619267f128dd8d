"""Mixed texts that make_goldens.py encodes, written for this purpose."""

PLAIN = [
    "Hello, world!", " leading and trailing ", "It's what they'd've said; WE'RE done, aren't WE?", "3.14159 and 1,000,000 and 0x1F",
    "1234567890 12 345 6789", "naïve café, Ångström, façade", "nai\u0308ve cafe\u0301, A\u030angstro\u0308m", "Straße, Übergröße",
    "Où est la bibliothèque ?", "¿Dónde está el año?", "Zażółć gęślą jaźń", "Быстрая коричневая лиса", "Ґанок і їжак",
    "Καλημέρα κόσμε", "שָׁלוֹם עוֹלָם", "مرحبا بالعالم", "नमस्ते दुनिया, क्षत्रिय", "বাংলা ভাষা", "สวัสดีชาวโลก", "ພາສາລາວ", "ខ្មែរ",
    "你好，世界！今天天气很好。", "日本語のテキスト、カタカナ、ひらがな", "한국어 문장입니다. 안녕하세요", "𠮷野家で𩸽を食べる", "繁體中文與简体中文",
    "ﬁ ﬂ ① Ⅷ ½ ㎏ ﷺ", "Ｆｕｌｌｗｉｄｔｈ　ｔｅｘｔ",
]

EMOJI = [
    "🙂", "a🙂b", "👩‍🚀 🧑🏽‍💻 👨‍👩‍👧‍👦", "🏳️‍🌈🏴‍☠️", "🇩🇪🇯🇵🇧🇷", "1️⃣2️⃣#️⃣", "✌🏿✌️✌", "🫠🪿🫨", "🙂🙂🙂🙂🙂🙂🙂", "text🧵text🪡text",
    "(╯°□°)╯︵ ┻━┻", "𝕳𝖊𝖑𝖑𝖔 𝒲ℴ𝓇𝓁𝒹", "🂡🀄🎴", "\U0010ffff\U000fffff",
]

CODE = [
    "def f(x):\n    return x ** 2  # square\n", "for (int i = 0; i < n; ++i) {\n\tsum += a[i];\n}\n", "if err != nil {\n\t\treturn fmt.Errorf(\"%w\", err)\n\t}",
    "SELECT * FROM t WHERE a >= 10 AND b <> 'x';", "{\"key\": [1, 2.5e-3, null, true], \"s\": \"\\u00e9\"}", "<div class=\"a b\">&nbsp;</div>",
    "```python\nprint('hi')\n```", "$ curl -s http://127.0.0.1:8000/v1/models | jq .", "a<b>c</b>", "x<-y; z->w; p=>q; !=, ==, ===", "\\begin{align} \\frac{a}{b} \\end{align}",
    "// TODO(x): ~!@#$%^&*()_+`-={}[]|\\:\";'<>?,./", "C:\\Users\\name\\file.txt", "user@example.com https://example.com/a?b=c&d=%20#e", "snake_case camelCase PascalCase kebab-case SCREAMING_CASE",
]

SPACE = [
    " ", "  ", "   ", "\n", "\n\n", "\n\n\n", "\r\n", "\r\n\r\n", "\t", "\t\t", " \n ", "\n ", " \n", "a  b   c    d", "a\n\n\nb", "a \n \n b", "  two\tand\ttabs \n\n next line\r\n",
    " " * 50 + "x", "x" + " " * 50, "\u00a0\u2003\u3000\u200b\ufeff", "a\u00a0b\u2009c\u3000d", "line\u2028sep\u2029para\x85nel", "\x0b\x0c",
]

ODD = [
    "\x00", "a\x00b", "\x00\x00\x00", "\x01\x02\x1b[31mred\x1b[0m\x7f", "\ufffd", "a\ufffdb\ufffd\ufffd", "\ufffe\uffff", "e\u0301\u0301\u0301", "Z\u0351\u036b\u0343a\u0321l\u0334go\u0329",
    "\u202eright to left\u202c", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "!" * 70, "ab" * 40, "." * 33 + "…", "-" * 100, "=" * 17,
]

CONTROL = [
    "<think>", "</think>", "<think>\nLet me see.\n</think>\n\nFour.", "<|im_start|>user\nhi<|im_end|>\n", "<|im_start", "<|im_end|", "<|endoftext|>", "<|eot_id|>",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>", "<｜begin▁of▁sentence｜><｜User｜>hi<｜Assistant｜><think>\n", "<｜end▁of▁sentence｜>",
    "<|start|>assistant<|channel|>analysis<|message|>Hm.<|end|>", "<|return|>", "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>", "<s></s><unk><pad>", "[INST] x [/INST]",
    "a<|im_end|>b<|endoftext|>c", " <|im_end|> ", "<|IM_END|>", "< think >", "<|im_end|><|im_end|>",
]

ALL = PLAIN + EMOJI + CODE + SPACE + ODD + CONTROL

"""The texts that make_goldens.py computes goldens for, written for this purpose."""

import random

# Questions; the chat template turns each into a prompt.
QUESTIONS = [
    "What is the capital of France?",
    "List three things that float on water.",
    "Write a short poem about a lighthouse in winter.",
    "Explain why the sky is blue, in two sentences.",
    "How many legs do two spiders and a dog have together?",
    "Translate to Spanish: The library opens at nine.",
    "Give me a recipe for a simple tomato soup.",
    "What does the word 'ephemeral' mean?",
    "Write a Python function that reverses a string.",
    "My train leaves at 14:35 and the trip takes 50 minutes. When do I arrive?",
]

# About 2 kB of plain prose, whose negative log-likelihood is a golden.
PROSE = """The ferry left the island at six, an hour after the last of the market stalls had closed. On the upper deck a woman was counting the crates of pears that she had not sold, and a boy with a bicycle watched the wake spread out behind them until it was as wide as the harbour. The engineer, who had worked on this line for thirty-one years, said that the sea would be calm until midnight and that nobody should believe the radio.

Below, in the small saloon, two men were playing chess on a folding board. One of them had lost his queen early and played faster because of it. The other kept looking at the clock above the bar, which had stopped at twenty past four some weeks before, and each time he looked he moved a pawn. There was coffee, and a plate of biscuits that tasted of the tin they had come in.

It is often said that a crossing of this kind has no history, that one evening is like another and only the names of the passengers change. The company's books say otherwise. In 1923 the ferry carried a piano, four musicians and a goat; in 1951 it turned back in fog and arrived, nine hours late, at the place it had started from. A storm in the autumn of 1987 broke every window on the port side. Nobody was hurt, and the pears of that year are still remembered as the best.

When the lights of the mainland came up, first the lighthouse and then the long row of lamps along the quay, people began to collect their bags. The boy asked whether bicycles went first. They did not, but the sailor at the rope let him through, because it was late and because he had once had a bicycle of the same colour. The chess players agreed on a draw. The woman with the pears gave one to each of them, and kept the last for the walk up the hill.

By half past nine the deck had been washed and the crates were stacked in the dark beside the ramp. The engineer wrote one line in the book: wind from the west, force three, forty-four passengers, nothing to report. Then he turned off the lamp, listened for a while to the ropes, and went home.
"""

# Pieces that the 1,000 strings are joined from: languages and scripts, code,
# numbers, white space, punctuation, combining marks, emoji.
PIECES = [
    "The quick brown fox jumps over the lazy dog.", "It's what they'd've said, isn't it?", "WE'RE NOT DONE YET",
    "Don't panic; I'll be there at 7:45.", "naïve café, façade, coöperate", "Straße, Übergröße, Äpfel und Öl",
    "Der Zug fährt um halb neun ab.", "Où est la bibliothèque, s'il vous plaît ?", "¿Dónde está el año nuevo? ¡Aquí!",
    "O coração não tem razão", "Perché la città è così bella?", "Zażółć gęślą jaźń", "Příliš žluťoučký kůň úpěl ďábelské ódy",
    "Árvíztűrő tükörfúrógép", "Işık ılık süt içti, İstanbul", "Blåbærsyltetøy på brød", "Þetta er íslenska", "Mae'r ddraig goch",
    "Быстрая коричневая лиса", "Съешь ещё этих мягких булок", "Ґанок і їжак", "Καλημέρα κόσμε", "Τι κάνεις;",
    "שלום עולם", "הַשָּׁמַיִם", "مرحبا بالعالم", "كِتَابٌ جديد", "سلام دنیا، چطوری؟", "नमस्ते दुनिया", "क्षत्रिय ज्ञान", "বাংলা ভাষা",
    "வணக்கம் உலகம்", "తెలుగు లిపి", "ಕನ್ನಡ", "മലയാളം", "ภาษาไทยไม่มีช่องว่าง", "ພາສາລາວ", "မြန်မာဘာသာ", "ភាសាខ្មែរ",
    "你好，世界！", "機器學習與語言模型", "これは日本語の文です。", "カタカナとひらがな", "안녕하세요 세계", "한국어 띄어쓰기", "ქართული ენა", "Հայերեն",
    "አማርኛ", "Tiếng Việt có dấu", "Kiswahili ni lugha", "'Ōlelo Hawai'i", "ᚠᚢᚦᚨᚱᚲ", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝕞𝕒𝕥𝕙", "e\u0301 vs \u00e9, n\u0303 vs ñ",
    "😀 😃 👍🏽 👩‍👩‍👧‍👦 🇯🇵 ❤️", "🤖🧠➡️💡", "→ ← ↔ ⇒ ∀x∈ℝ: x²≥0", "∫₀^∞ e^{-x²} dx = √π/2", "½ + ¼ = ¾, Ⅷ, ①②③", "١٢٣ ४५६ ๗๘๙",
    "0", "42", "3.14159265358979", "1,000,000.00", "-273.15°C", "2024-02-29T23:59:60Z", "0xDEADBEEF", "1e-10", "99999999999999999999",
    "+49 (0)30 1234567", "€19.99 or £17.50 or ¥2,500", "100%", "#hashtag @user", "https://example.org/a/b?c=d&e=%20f#g", "user.name+tag@example.com",
    "C:\\Windows\\System32", "/usr/local/bin/env -S python3", "if (x != NULL && *x++ == '\\0') { return -1; }", "def f(a, *, b=None) -> dict[str, int]:",
    "\tfor i := range 10 {\n\t\tfmt.Println(i)\n\t}\n", "SELECT * FROM t WHERE a = 'b''c';", "<div class=\"x\">&nbsp;</div>", "{\"key\": [1, 2.5, null, true]}",
    "let v: Vec<&'static str> = vec![];", "#!/bin/sh\nset -eu\n", "\\begin{equation} a^2 \\end{equation}", "**bold** _it_ `code`", "- item\n- item\n  - sub",
    "```python\nprint('hi')\n```", "<think>", "</think>", "<tool_call>", "[INST]", "<|unknown|>", "<s>", "</s>",
    " ", "  ", "   ", "\n", "\n\n", "\n\n\n\n", "\t", "\t\t", " \n ", "\r\n", "      ", "\u00a0", "\u3000", "\u200b", "\u2003", "\u2028",
    "...", "?!?!", "----", "====", "____", "((()))", "'''", "\"\"\"", "—", "–", "…", "«»", "„“", "‚‘", "、。", "'s", "'t", "'LL", "'Re", "’s",
    "aaaaaaaaaaaaaaaaaaaaaaaa", "supercalifragilisticexpialidocious", "CamelCaseAndSnake_case_and-kebab", "ALLCAPS", "mIxEd", "x", "Ω", "ß", "ﬁ", "\ufeff", "\ufffd", "\u0300",
]


def strings():
    """1,000 strings: each piece alone, then 2 to 5 pieces joined with or without a space."""
    rng = random.Random(20240229)
    out = list(PIECES)
    while len(out) < 1000:
        text = rng.choice(PIECES)
        for _ in range(rng.randint(1, 4)):
            text += rng.choice(["", " ", " ", "\n"]) + rng.choice(PIECES)
        if len(text.encode()) <= 120:
            out.append(text)
    return out

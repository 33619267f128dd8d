"""The words, names and places that samples are made of, and which of them are held out.

Held-out material (used by eval.py only, never for training):
  * words, names and places whose hash falls in `is_held_out`
  * number pairs, likewise, when one of the two has three digits or more
"""

import hashlib
import random

ALWAYS_HELD_OUT = {"strawberry"}


def is_held_out(key: str) -> bool:
    """A fixed tenth of all strings, by hash."""
    return key.lower() in ALWAYS_HELD_OUT or hashlib.md5(key.lower().encode()).digest()[0] < 26


def load_words() -> list[str]:
    """Webster's second word list (public domain), through the english-words package."""
    from english_words import get_english_words_set

    words = get_english_words_set(["web2"], lower=True, alpha=True)
    return sorted(w for w in words if 3 <= len(w) <= 12 and w.isascii() and w.isalpha())


NAMES = """Ada Alan Alice Amir Ana Anna Ben Bella Bob Boris Carla Carlos Chen Chloe Clara Daniel David Diego
Dora Elena Eli Ella Emma Eric Eva Fatima Felix Finn Frank Gina Grace Hana Hans Hugo Ida Igor Ines Iris Ivan
Jack Jane Jin Joan John Jonas Julia Kai Karen Kate Kenji Kim Lara Leo Lena Li Liam Lily Lin Linda Lucas Lucy
Luis Maja Marco Maria Mark Marta Mary Max Maya Mei Mia Mila Milo Mina Nadia Nils Nina Noah Nora Olga Oliver
Omar Oscar Otto Paul Pedro Peter Priya Raj Ravi Rosa Ruth Sam Sara Simon Sofia Sven Tara Theo Tim Tom Uma
Vera Victor Wei William Xin Yara Yuki Yusuf Zara Zoe""".split()
CITIES = """Paris London Berlin Madrid Rome Vienna Prague Oslo Lisbon Dublin Athens Tokyo Osaka Kyoto Beijing
Shanghai Seoul Delhi Mumbai Cairo Lagos Nairobi Accra Lima Quito Bogota Santiago Havana Boston Chicago Denver
Seattle Toronto Montreal Sydney Perth Auckland Warsaw Geneva Zurich Milan Turin Venice Naples Porto Seville
Hamburg Munich Cologne Lyon Nice Bordeaux Ghent Riga Vilnius Tallinn Helsinki Stockholm Bergen Tunis Dakar
Hanoi Manila Jakarta Bangkok Singapore Dubai Istanbul Ankara Tehran Karachi Lahore""".split()
COUNTRIES = """France Spain Italy Germany Norway Sweden Japan China India Brazil Peru Chile Canada Mexico Egypt
Kenya Ghana Morocco Greece Turkey Poland Austria Ireland Iceland Vietnam Thailand Nepal Cuba Fiji""".split()
COLORS = "red blue green yellow purple orange black white pink brown gray silver gold violet teal".split()
ANIMALS = "dog cat rabbit parrot hamster horse turtle goldfish pony lizard".split()
LANGUAGES = "French Spanish German Italian Chinese Japanese Korean Arabic Hindi Russian Dutch Polish".split()
SYSTEM_PROMPTS = [
    "You are a helpful assistant.",
    "You are a careful assistant.",
    "You are a friendly tutor.",
    "You are concise.",
    "Answer briefly.",
    "Be polite and precise.",
    "You are a helpful AI assistant. Answer the user's question.",
    "Think before you answer.",
    "You help children with letters and numbers.",
    "Today is Monday.",
    "You are an expert in {w}.",
    "The user works on {w} and {v}.",
]
CJK = "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生自会那后能对着事其里所去行过家十用发天如然作方成者多日都三小军二无同么经法当起与好看学进种将还分此心前面又定见只主没公从今回很已日月山水火木金土书车马电话吃喝走跑飞春夏秋冬红黄蓝绿"
EMOJI = "😀😅😍🤔🙏👍🎉🚀🌍🍓🐱🐶🔥💡✨❤️☀️🌧️"


class Draw:
    """Draws words, names and numbers.  `held_out` picks which side of the split they come from."""

    def __init__(self, seed: int, words: list[str], pieces: list[str], held_out: bool = False):
        self.rng = random.Random(seed)
        self.held_out = held_out
        self.words = [w for w in words if is_held_out(w) == held_out]
        self.pieces = pieces  # letter runs that are single tokens

    def pick(self, items):
        return items[int(self.rng.random() * len(items))]

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def word(self, longest: int = 12) -> str:
        """A word to spell: from the dictionary, or (training only) made up."""
        kind = 0.0 if self.held_out else self.rng.random()
        while True:
            if kind < 0.6:
                w = self.pick(self.words)
            elif kind < 0.88:
                w = ""
                while len(w) < self.rng.randint(3, longest):
                    w += self.pick(self.pieces)
            else:
                w = "".join(self.pick("abcdefghijklmnopqrstuvwxyz") for _ in range(self.rng.randint(2, longest)))
            if len(w) <= longest and is_held_out(w) == self.held_out:
                return w

    def proper(self, stock: list[str]) -> str:
        """A name or a place: half of them from `stock`, half any word with a capital."""
        while True:
            name = self.pick(stock) if self.chance(0.5) else self.word(9).capitalize()
            if is_held_out(name) == self.held_out:
                return name

    def number(self, digits: int, exact: bool = False) -> int:
        """A number of up to (or exactly) that many digits, all lengths equally likely."""
        n = digits if exact else self.rng.randint(1, digits)
        return self.rng.randint(10 ** (n - 1) if n > 1 else 0, 10**n - 1)

    def pair_fits(self, a, b) -> bool:
        """Is this pair on our side of the split?  Small pairs belong to training."""
        big = max(len(str(a).replace(".", "")), len(str(b).replace(".", ""))) >= 3
        return (big and is_held_out(f"{a} {b}")) == self.held_out
